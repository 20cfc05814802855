//! Connections: how many there are, and for how long each may keep the server waiting.
//!
//! Always true: a client costs a socket and no thread; one that is silent, or does not read what it asked for, is
//! dropped after a while, so that others have its place. A request that came wholly is carried out. Neighbour:
//! `api/ask.rs` waits for bodies.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Sleep, sleep};

/// How long the server waits after a connection that it could not take: mostly the process has too many files open.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// What clients may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Connections at once. Further ones wait until the kernel's queue is full, and pipelines have files left to open.
    pub(crate) connections: usize,
    /// How long a connection may take until the head of a request is there, the first or another.
    pub(crate) head: Duration,
    /// How long a client may read nothing of what is sent to it.
    pub(crate) unread: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connections: 256, head: Duration::from_secs(10), unread: Duration::from_secs(30) }
    }
}

/// Answers who connects, without end.
pub(crate) async fn serve(listener: TcpListener, router: Router, patience: Patience) {
    let room = Arc::new(Semaphore::new(patience.connections));
    loop {
        let place = room.clone().acquire_owned().await.expect("nobody closes it");
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("a connection cannot be taken: {error}");
                sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        // Answers are small, and are waited for.
        drop(stream.set_nodelay(true));
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            // What was asked for is done, though who asked is gone.
            http.half_close(true).timer(TokioTimer::new()).header_read_timeout(patience.head);
            let io = TokioIo::new(Patient { stream, unread: patience.unread, stalled: None });
            // A client that breaks off wants nothing any more.
            drop(http.serve_connection(io, service).await);
            drop(place);
        });
    }
}

/// A connection whose client must read.
struct Patient {
    stream: TcpStream,
    unread: Duration,
    /// When a write that waits has waited for too long.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn in_time<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let unread = self.unread;
        ready!(self.stalled.get_or_insert_with(|| Box::pin(sleep(unread))).as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.in_time(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream as Client};
    use std::sync::mpsc::{Sender, channel};

    use axum::body::{Body, Bytes};
    use axum::routing::get;
    use futures_util::stream;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(3_600);

    /// Tells when it is gone.
    struct Told(Sender<()>);

    impl Drop for Told {
        fn drop(&mut self) {
            // Not every test listens.
            self.0.send(()).ok();
        }
    }

    /// A server of `/`, which is a word, and of `/endless`; `over` is told when nobody is sent that any more.
    fn start(patience: Patience, over: Sender<()>) -> SocketAddr {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let endless = async move || {
            let told = Told(over.clone());
            Body::from_stream(stream::repeat_with(move || {
                let _kept = &told;
                Ok::<_, Infallible>(Bytes::from_static(&[0; 1 << 16]))
            }))
        };
        let router = Router::new().route("/", get(async || "here")).route("/endless", get(endless));
        std::thread::spawn(move || runtime.block_on(serve(listener, router, patience)));
        address
    }

    fn send(address: SocketAddr, text: &str) -> Client {
        let mut client = Client::connect(address).unwrap();
        client.write_all(text.as_bytes()).unwrap();
        client
    }

    fn rest(mut client: Client) -> String {
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        text
    }

    const ASK: &str = "GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n";

    #[test]
    fn a_client_that_does_not_finish_its_request_is_dropped_and_others_have_its_place() {
        let address = start(Patience { connections: 2, head: SHORT, unread: LONG }, channel().0);
        let silent = [send(address, ""), send(address, &ASK[..20])];
        assert!(rest(send(address, ASK)).ends_with("here"), "there were two already, and two is the limit");
        silent.into_iter().for_each(|client| assert!(!rest(client).contains("here")));
    }

    #[test]
    fn a_client_that_reads_nothing_is_dropped() {
        let (over, dropped) = channel();
        let address = start(Patience { connections: 1, head: LONG, unread: SHORT }, over);
        let _deaf = send(address, "GET /endless HTTP/1.1\r\nhost: here\r\n\r\n");
        dropped.recv().unwrap();
        assert!(rest(send(address, ASK)).ends_with("here"));
    }
}
