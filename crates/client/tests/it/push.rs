use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pagevault_api::problem::ProblemKind;
use pagevault_client::{
    Client, ClientError, NoProgress, Progress, PullTarget, PushOutcome, PushRequest, PushSource,
};
use tempfile::TempDir;

use crate::fake::{Fake, Fault};
use crate::proxy::{self, up};
use crate::{client, noise};

const BYTES: usize = 3_000_000;

struct Setup {
    folder: TempDir,
    fake: Fake,
    address: std::net::SocketAddr,
    data: Vec<u8>,
}

impl Setup {
    async fn new() -> Self {
        let (fake, address) = Fake::start().await;
        let (folder, data) = (tempfile::tempdir().unwrap(), noise(BYTES));
        std::fs::write(folder.path().join("c.tar"), &data).unwrap();
        Self { folder, fake, address, data }
    }

    fn tar(&self) -> PathBuf {
        self.folder.path().join("c.tar")
    }

    fn request(&self) -> PushRequest {
        let state = Some(self.folder.path().join("state"));
        PushRequest { state, ..PushRequest::default() }
    }

    async fn push(&self, client: &Client) -> Result<PushOutcome, ClientError> {
        client.push(PushSource::File(self.tar()), &self.request(), &NoProgress).await
    }

    fn check(&self, outcome: &PushOutcome) {
        assert!(self.fake.arrived() == self.data);
        assert_eq!(outcome.pushed.logical_bytes, BYTES as u64);
        assert_eq!(files_in(&self.folder.path().join("state")), 0);
    }
}

fn files_in(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[tokio::test]
async fn in_one_go() {
    let setup = Setup::new().await;
    let outcome = setup.push(&client(setup.address, 1000)).await.unwrap();
    setup.check(&outcome);
    assert_eq!(outcome.sent_bytes, BYTES as u64);
}

#[tokio::test]
async fn goes_on_after_broken_connections() {
    let setup = Setup::new().await;
    let cuts = [up(900_000), up(100), up(1_500_000), up(0)];
    let address = proxy::start(setup.address, &cuts).await;
    let outcome = setup.push(&client(address, 2000)).await.unwrap();
    setup.check(&outcome);
    assert_eq!(setup.fake.lock().opened, 1);
    // Nothing has arrived twice.
    assert_eq!(setup.fake.lock().appended, BYTES as u64);
}

#[tokio::test]
async fn the_answer_to_a_commit_is_lost() {
    let setup = Setup::new().await;
    // The second connection carries the commit there, and not its answer back.
    let cuts = [up(BYTES / 2), proxy::down(250)];
    let address = proxy::start(setup.address, &cuts).await;
    let outcome = setup.push(&client(address, 2000)).await.unwrap();
    setup.check(&outcome);
}

#[tokio::test]
async fn faults_that_pass() {
    let setup = Setup::new().await;
    setup.fake.faults([
        Fault::Answer(ProblemKind::Unavailable),
        Fault::Answer(ProblemKind::Internal),
        Fault::Answer(ProblemKind::Conflict),
        Fault::Answer(ProblemKind::Interrupted),
        Fault::Lose(0),
        Fault::Answer(ProblemKind::Unavailable),
    ]);
    let outcome = setup.push(&client(setup.address, 2000)).await.unwrap();
    setup.check(&outcome);
}

#[tokio::test]
async fn faults_that_do_not() {
    let setup = Setup::new().await;
    setup.fake.faults([Fault::Answer(ProblemKind::Unavailable); 10_000]);
    let error = setup.push(&client(setup.address, 100)).await.unwrap_err();
    assert!(matches!(error, ClientError::GaveUp { .. }), "{error}");
    setup.fake.lock().faults.clear();
    setup.fake.faults([Fault::Answer(ProblemKind::Internal); 10]);
    let error = setup.push(&client(setup.address, 60_000)).await.unwrap_err();
    assert_eq!(error.problem().unwrap().kind, ProblemKind::Internal);
    setup.fake.lock().faults.clear();
    setup.fake.faults([Fault::Lose(0), Fault::Answer(ProblemKind::InvalidArchive)]);
    let error = setup.push(&client(setup.address, 60_000)).await.unwrap_err();
    assert_eq!(error.problem().unwrap().kind, ProblemKind::InvalidArchive);
    assert_eq!(files_in(&setup.folder.path().join("state")), 0);
}

#[tokio::test]
async fn an_upload_is_forgotten_once() {
    let setup = Setup::new().await;
    setup.fake.faults([Fault::Lose(0), Fault::Forget]);
    let outcome = setup.push(&client(setup.address, 2000)).await.unwrap();
    setup.check(&outcome);
    assert_eq!(setup.fake.lock().opened, 2);
    setup.fake.faults([Fault::Forget; 10]);
    let error = setup.push(&client(setup.address, 2000)).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[tokio::test]
async fn what_the_server_lost_is_sent_again() {
    let setup = Setup::new().await;
    setup.fake.faults([Fault::Lose(0), Fault::Lose(1_200_000)]);
    let outcome = setup.push(&client(setup.address, 2000)).await.unwrap();
    setup.check(&outcome);
    assert_eq!(outcome.sent_bytes, BYTES as u64 + 1_200_000);
}

#[tokio::test]
async fn a_later_run_goes_on() {
    let setup = Setup::new().await;
    let address = proxy::start(setup.address, &[up(2_000_000)]).await;
    let error = setup.push(&client(address, 0)).await.unwrap_err();
    assert!(matches!(error, ClientError::GaveUp { .. }), "{error}");
    assert_eq!(files_in(&setup.folder.path().join("state")), 1);
    setup.fake.at_rest().await;
    let arrived = setup.fake.arrived().len() as u64;
    assert!(arrived > 0);
    let outcome = setup.push(&client(address, 1000)).await.unwrap();
    setup.check(&outcome);
    assert_eq!(outcome.sent_bytes, BYTES as u64 - arrived);
    assert_eq!(setup.fake.lock().opened, 1);
}

#[tokio::test]
async fn another_name_or_another_content_is_another_upload() {
    let setup = Setup::new().await;
    let address = proxy::start(setup.address, &[up(2_000_000), up(2_000_000)]).await;
    setup.push(&client(address, 0)).await.unwrap_err();
    let mut request = setup.request();
    request.options.reference = Some("x/y:z".parse().unwrap());
    let source = PushSource::File(setup.tar());
    let pushed = client(address, 1000).push(source, &request, &NoProgress).await.unwrap();
    assert_eq!(pushed.pushed.reference.to_string(), "x/y:z");
    std::fs::write(setup.tar(), noise(BYTES + 1)).unwrap();
    setup.push(&client(address, 1000)).await.unwrap();
    assert_eq!(setup.fake.lock().opened, 3);
}

struct Meddler(PathBuf);

impl Progress for Meddler {
    fn begin(&self, _: u64, _: Option<u64>) {
        let mut file = std::fs::OpenOptions::new().append(true).open(&self.0).unwrap();
        file.write_all(b"more").unwrap();
    }
}

#[tokio::test]
async fn a_file_that_changes_is_not_committed() {
    let setup = Setup::new().await;
    let meddler = Meddler(setup.tar());
    let client = client(setup.address, 1000);
    let pushed = client.push(PushSource::File(setup.tar()), &setup.request(), &meddler).await;
    assert!(matches!(pushed, Err(ClientError::FileChanged { .. })));
    let inner = setup.fake.lock();
    assert_eq!((inner.committed, inner.uploads.len()), (0, 0));
}

#[tokio::test]
async fn a_fault_of_the_server_does_not_cost_what_has_arrived() {
    for kind in [ProblemKind::Damaged, ProblemKind::Internal, ProblemKind::InsufficientStorage] {
        let setup = Setup::new().await;
        setup.fake.faults([Fault::Lose(0), Fault::Answer(kind)]);
        setup.fake.faults([Fault::Answer(kind); 5]);
        setup.push(&client(setup.address, 100)).await.unwrap_err();
        assert_eq!(files_in(&setup.folder.path().join("state")), 1, "{kind:?}");
        setup.fake.lock().faults.clear();
        let outcome = setup.push(&client(setup.address, 1000)).await.unwrap();
        setup.check(&outcome);
        assert_eq!((outcome.sent_bytes, setup.fake.lock().opened), (0, 1));
    }
}

#[tokio::test]
async fn a_file_that_changed_unseen_is_sent_from_its_beginning() {
    let mut setup = Setup::new().await;
    let address = proxy::start(setup.address, &[up(2_000_000)]).await;
    setup.push(&client(address, 0)).await.unwrap_err();
    setup.fake.at_rest().await;
    // Its stamp is what it was.
    let modified = std::fs::metadata(setup.tar()).unwrap().modified().unwrap();
    setup.data[..5].copy_from_slice(b"other");
    let file = std::fs::OpenOptions::new().write(true).open(setup.tar()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"other", 0).unwrap();
    file.set_modified(modified).unwrap();
    let outcome = setup.push(&client(address, 1000)).await.unwrap();
    setup.check(&outcome);
    assert_eq!(setup.fake.lock().opened, 2);
}

#[tokio::test]
async fn a_commit_whose_answer_does_not_come_is_asked_after() {
    let setup = Setup::new().await;
    setup.fake.faults([Fault::Lose(0), Fault::Silence]);
    let mut settings = crate::settings(1000);
    settings.stall = Duration::from_millis(300);
    let client = Client::new(&setup.address.to_string(), settings).unwrap();
    let outcome = tokio::time::timeout(Duration::from_secs(30), setup.push(&client)).await;
    setup.check(&outcome.expect("it waits for ever").unwrap());
    assert_eq!(setup.fake.lock().committed, 1);
}

/// A server that takes connections, and no more.
#[tokio::test]
async fn a_server_that_does_not_answer() {
    let setup = Setup::new().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = crate::settings(200);
    settings.stall = Duration::from_millis(200);
    let client = Client::new(&listener.local_addr().unwrap().to_string(), settings).unwrap();
    let reference = "a/b:c".parse().unwrap();
    let target = PullTarget::File { path: setup.folder.path().join("out"), force: false };
    let all = async {
        setup.push(&client).await.unwrap_err();
        client.pull(&reference, target, &NoProgress).await.unwrap_err();
        client.stats().await.unwrap_err();
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.expect("it waits for ever");
}

#[tokio::test]
async fn nobody_there() {
    let setup = Setup::new().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = setup.push(&client(address, 60_000)).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    assert!(error.hint().unwrap().contains("pagevault serve"));
}

#[tokio::test]
async fn a_stream() {
    let setup = Setup::new().await;
    let mut request = PushRequest::default();
    request.options.workload = Some("cart".to_owned());
    request.options.labels.insert("k".to_owned(), "v".to_owned());
    let reader = std::io::Cursor::new(setup.data.clone());
    let source = PushSource::Stream(Box::new(reader));
    let client = client(setup.address, 1000);
    let outcome = client.push(source, &request, &NoProgress).await.unwrap();
    assert_eq!(outcome.sent_bytes, BYTES as u64);
    let query = setup.fake.lock().query.clone();
    assert_eq!((query["workload"].as_str(), query["label"].as_str()), ("cart", "k=v"));
}

#[tokio::test]
async fn a_real_checkpoint_is_announced() {
    let setup = Setup::new().await;
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures/cri-containerd-counter.tar.zst");
    let compressed = std::fs::read(fixture).unwrap();
    for (bytes, announced) in [(plain(&compressed), true), (compressed.clone(), false)] {
        std::fs::write(setup.tar(), bytes).unwrap();
        setup.push(&client(setup.address, 1000)).await.unwrap();
        let mut inner = setup.fake.lock();
        let (_, (new, _)) = inner.uploads.drain().next().unwrap();
        assert_eq!(new.hint.is_some(), announced);
        let Some(hint) = new.hint else { continue };
        for path in ["config.dump", "spec.dump", "status.dump", "checkpoint/inventory.img"] {
            assert!(hint.members.contains_key(path), "{path}");
        }
        assert!(hint.members.keys().any(|path| path.starts_with("checkpoint/pagemap-")));
        assert!(!hint.members.keys().any(|path| path.contains("/pages-")));
    }
}

fn plain(compressed: &[u8]) -> Vec<u8> {
    let (_, mut reader) = pagevault_archive::decode::open(compressed).unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
    bytes
}
