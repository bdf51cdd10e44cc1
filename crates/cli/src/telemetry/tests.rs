//! Traces as a collector gets them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use pagevault_registry::Registry;
use pagevault_server::{ByteSize, ServerSettings};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// A collector, and what it is sent: the path, and the message.
fn collector() -> (SocketAddr, Receiver<(String, ExportTraceServiceRequest)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let lines: Vec<String> =
                (&mut stream).lines().map_while(Result::ok).take_while(|l| !l.is_empty()).collect();
            let length = lines.iter().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
            });
            let mut body = vec![0; length.unwrap()];
            stream.read_exact(&mut body).unwrap();
            let path = lines[0].split(' ').nth(1).unwrap().to_owned();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.get_mut().write_all(answer).unwrap();
            let message = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
            if sender.send((path, message)).is_err() {
                return;
            }
        }
    });
    (address, receiver)
}

/// Serves while these requests are sent, each over a connection of its own. Spans are seen by the
/// subscriber of this thread, on which all of it runs.
async fn serve_while(requests: Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let settings = ServerSettings {
        data: folder.path().to_path_buf(),
        reserve: ByteSize(0),
        ..ServerSettings::default()
    };
    let registry = Registry::open(settings.registry()).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asking = async {
        for request in requests {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            stream.read_to_end(&mut Vec::new()).await.unwrap();
        }
    };
    pagevault_server::serve(listener, registry.clone(), settings, asking).await.unwrap();
    registry.close(Duration::from_secs(10)).await;
}

fn request(line: &str, headers: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")
}

fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    format!("{:?}", found.and_then(|attribute| attribute.value.clone()))
}

#[tokio::test]
async fn a_collector_gets_the_spans_of_requests_and_of_collections() {
    let (address, received) = collector();
    let traces = Traces::to(Some(&format!("http://{address}/"))).unwrap();
    let subscriber = tracing_subscriber::registry().with(traces.layer());
    let caller = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
    let requests = vec![
        request("GET /v2/a/manifests/latest", caller),
        request("POST /api/v1/gc", "Content-Length: 0\r\n"),
    ];
    let observed = subscriber.set_default();
    serve_while(requests).await;
    drop(observed);
    traces.flush().await;

    let mut spans = Vec::new();
    while let Ok((path, message)) = received.try_recv() {
        assert_eq!(path, "/v1/traces");
        for resource in message.resource_spans {
            let about = format!("{:?}", resource.resource.unwrap());
            assert!(about.contains("service.name") && about.contains("\"pagevault\""), "{about}");
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    let named = |name: &str| {
        let found = spans.iter().find(|span| span.name == name);
        found.unwrap_or_else(|| panic!("no {name} among {spans:?}"))
    };
    let get = named("GET manifest");
    assert_eq!(hex(&get.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&get.parent_span_id), "b7ad6b7169203331");
    assert_eq!(get.kind, SpanKind::Server as i32);
    assert!(attribute(get, "http.response.status_code").contains("404"));
    assert!(attribute(get, "url.path").contains("/v2/a/manifests/latest"));

    let (asked, collected, records) = (named("POST native"), named("collect"), named("records"));
    assert_ne!(asked.trace_id, get.trace_id);
    assert_eq!(collected.links[0].span_id, asked.span_id);
    assert_eq!(records.parent_span_id, collected.span_id);
    named("objects");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_collector_that_is_not_there_costs_nothing_but_a_line() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let traces = Traces::to(Some(&format!("http://{nobody}"))).unwrap();
    let subscriber = tracing_subscriber::registry().with(traces.layer());
    let observed = subscriber.set_default();
    serve_while(vec![request("GET /v2/", "")]).await;
    drop(observed);
    tokio::time::timeout(2 * FLUSH, traces.flush()).await.unwrap();
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn who_asks_for_raw_memory_is_logged_whatever_the_filter() {
    for filter in ["warn", "off", "error,audit=off"] {
        let log = Log::default();
        let to = log.clone();
        let layer =
            tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || to.clone());
        let layer = layer.with_filter(wanted(filter).unwrap());
        let observed = tracing_subscriber::registry().with(layer).set_default();
        let memory = "GET /api/v1/checkpoints/a%2Fb:c/memory?pid=1&start=0x1000&length=1";
        serve_while(vec![request(memory, "User-Agent: me\r\n")]).await;
        drop(observed);
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = text.lines().filter(|line| line.contains("INFO")).collect();
        let [line] = lines.as_slice() else { panic!("{filter}: {text}") };
        for part in ["audit", "a/b:c", "client.address=127.0.0.1:", "client.agent=\"me\""] {
            assert!(line.contains(part), "{filter}: {line}");
        }
    }
}

#[test]
fn only_plain_http() {
    assert!(Traces::to(None).unwrap().0.is_none());
    for wrong in ["https://127.0.0.1:4318", "127.0.0.1:4318", "grpc://x"] {
        assert!(Traces::to(Some(wrong)).is_err(), "{wrong}");
    }
}
