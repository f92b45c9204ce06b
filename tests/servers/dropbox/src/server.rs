//! Listening on loopback, on a thread and a runtime of its own, so that any test may use it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

use crate::answer::{Held, World, respond};

/// A server that is there until it is dropped.
pub struct Server {
    world: Arc<World>,
    address: SocketAddr,
    online: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    /// No port, no thread.
    pub fn start() -> io::Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Listens there.
    ///
    /// # Errors
    /// The address is taken; no thread.
    pub fn start_at(address: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let world = Arc::<World>::default();
        let (online, told) = watch::channel(true);
        let served = Arc::clone(&world);
        let thread =
            std::thread::Builder::new().name("fake dropbox".to_owned()).spawn(move || {
                runtime.block_on(async {
                    // It ends when the server is dropped, or its listener can't be used.
                    if let Ok(listener) = TcpListener::from_std(listener) {
                        serve(&listener, served, told).await;
                    }
                });
            })?;
        Ok(Self { world, address, online, thread: Some(thread) })
    }

    /// What clients are given instead of the hosts of Dropbox.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The account, for one effect at a time.
    pub fn account(&self) -> Held<'_> {
        self.world.account()
    }

    /// Whether connections are accepted; those that are open end when they no longer are.
    pub fn set_online(&self, online: bool) {
        self.online.send_replace(online);
    }

    /// Waits until the server ends, which it doesn't by itself.
    pub fn join(mut self) {
        if let Some(thread) = self.thread.take() {
            // Only a panic could be told.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        drop(std::mem::replace(&mut self.online, watch::Sender::new(false)));
        let _ = thread.join();
    }
}

/// Accepts connections until nobody holds the server any more.
async fn serve(listener: &TcpListener, world: Arc<World>, mut online: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            biased;
            changed = online.changed() => if changed.is_err() { return },
            accepted = listener.accept() => {
                // One that can't be accepted is the client's trouble.
                let Ok((stream, _)) = accepted else { continue };
                if *online.borrow() {
                    tokio::spawn(speak(stream, Arc::clone(&world), online.clone()));
                }
            }
        }
    }
}

/// One connection, until either side has enough of it.
async fn speak(stream: TcpStream, world: Arc<World>, mut online: watch::Receiver<bool>) {
    let hang_up = Arc::new(Notify::new());
    let heard = Arc::clone(&hang_up);
    let app = Router::new()
        .fallback(move |request: Request| respond(Arc::clone(&world), Arc::clone(&heard), request));
    // A client that waits for the answer to a few bytes shouldn't wait for more of them.
    let _ = stream.set_nodelay(true);
    let server = auto::Builder::new(TokioExecutor::new());
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    tokio::select! {
        biased;
        () = hang_up.notified() => {}
        _ = online.wait_for(|online| !online) => {}
        // How it ended is of no interest here.
        _ = connection => {}
    }
}
