//! Connections: accepted, limited, and brought to an end.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioTimer;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use pagevault_registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::app::{App, Shared};
use crate::jobs;
use crate::metrics::Counted;
use crate::paced::Paced;
use crate::routes;
use crate::settings::ServerSettings;

/// Bytes of a request's headers. A request for 1,024 ranges of a large blob has about 25 KB.
const HEADERS_MAX: usize = 128 << 10;

/// Bytes that are read from a connection at once, at most.
const READ_MAX: usize = 512 << 10;

/// Why the server could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The listener has no address.
    #[error("the listening socket: {0}")]
    Listener(#[source] io::Error),
}

/// Serves until `shutdown` is ready; then finishes what is under way, for a bounded time.
pub async fn serve(
    listener: TcpListener,
    registry: Arc<Registry>,
    settings: ServerSettings,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let listen = listener.local_addr().map_err(ServerError::Listener)?;
    let app = Arc::new(App::new(registry, ServerSettings { listen, ..settings }));
    let router = routes::router(Arc::clone(&app));
    let http = http(&app.settings);
    let room = Arc::new(Semaphore::new(app.settings.max_connections.max(1)));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let mut collecting = pin!(jobs::collect(Arc::clone(&app.registry), app.settings.gc_interval()));
    let mut verifying =
        pin!(jobs::verify(Arc::clone(&app.registry), app.settings.verify_interval()));
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            () = &mut collecting => {}
            () = &mut verifying => {}
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = accept(&listener, &room) => match accepted {
                Ok((accepted, place)) => {
                    let served = connection(&app, &http, &graceful, &router, accepted);
                    connections.spawn(async move {
                        served.await;
                        drop(place);
                    });
                }
                Err(error) => accept_failed(&error).await,
            },
        }
    }
    drop(listener);
    app.drain();
    if tokio::time::timeout(app.settings.shutdown(), graceful.shutdown()).await.is_err() {
        tracing::warn!(
            connections.open = connections.len(),
            "requests under way were cut short at the end"
        );
    }
    Ok(())
}

fn http(settings: &ServerSettings) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout())
        .max_header_size(HEADERS_MAX)
        .max_buf_size(READ_MAX);
    http
}

/// The next connection, once there is room for one more: until then it waits in the kernel's queue,
/// which is not a refusal.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<((TcpStream, SocketAddr), Option<OwnedSemaphorePermit>)> {
    // Only a closed semaphore fails, and this one is never closed.
    let place = Arc::clone(room).acquire_owned().await.ok();
    Ok((listener.accept().await?, place))
}

/// Serves one connection; ends with it, or, when the server ends, with its current request.
fn connection(
    app: &Shared,
    http: &http1::Builder,
    graceful: &GracefulShutdown,
    router: &Router,
    (stream, peer): (TcpStream, SocketAddr),
) -> impl Future<Output = ()> + Send + 'static {
    // Without this a small response waits for the acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("TCP_NODELAY: {error}");
    }
    let router = TowerToHyperService::new(router.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.call(request)
    });
    let stream = Paced::new(stream, app.settings.write_timeout());
    let served = graceful.watch(http.serve_connection(stream, service));
    let open = Counted::in_(&app.metrics.connections_open);
    async move {
        let _open = open;
        // A client that goes away is no fault of ours, and containerd does so as a habit.
        if let Err(error) = served.await {
            tracing::debug!("connection ended: {error}");
        }
    }
}

/// A connection that is gone already is nothing; a lack of descriptors needs time to pass.
async fn accept_failed(error: &io::Error) {
    let gone = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    );
    if !gone {
        tracing::error!("cannot accept connections: {error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
