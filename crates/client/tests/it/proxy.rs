//! A proxy that cuts connections.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// After how many bytes a connection is cut, in each direction.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cut {
    pub(crate) up: Option<usize>,
    pub(crate) down: Option<usize>,
}

pub(crate) fn up(bytes: usize) -> Cut {
    Cut { up: Some(bytes), down: None }
}

pub(crate) fn down(bytes: usize) -> Cut {
    Cut { up: None, down: Some(bytes) }
}

/// Starts one before a server; the cuts are for its first connections, in order.
pub(crate) async fn start(server: SocketAddr, cuts: &[Cut]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cuts = Arc::new(Mutex::new(cuts.iter().copied().collect::<VecDeque<_>>()));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let cut = cuts.lock().unwrap().pop_front().unwrap_or_default();
            tokio::spawn(connection(client, server, cut));
        }
    });
    address
}

async fn connection(client: TcpStream, server: SocketAddr, cut: Cut) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Whichever ends first takes the other with it.
    tokio::select! {
        () = copy(from_client, to_server, cut.up) => {}
        () = copy(from_server, to_client, cut.down) => {}
    }
}

async fn copy(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    cut: Option<usize>,
) {
    let mut left = cut.unwrap_or(usize::MAX);
    let mut buf = vec![0; 16 << 10];
    while left > 0 {
        let want = buf.len().min(left);
        let Ok(read @ 1..) = from.read(&mut buf[..want]).await else { return };
        if to.write_all(&buf[..read]).await.is_err() {
            return;
        }
        left -= read;
    }
}
