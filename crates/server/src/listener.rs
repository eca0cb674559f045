//! Where connections come from: addresses, Unix sockets, and sockets that systemd holds.
//!
//! Enters: where to listen. Leaves: streams, with the address of their peer; those of a Unix socket come from this
//! machine. Refused: an address that another server has, and more sockets than systemd gave.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::net as unix;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::net::{TcpListener, UnixListener};

use crate::config::ListenAt;

/// How many bytes wait for a peer on this machine, at most (Linux takes it twice). Nothing is under way for long there; what
/// waits has only left the processor's cache when it is read.
const LOOPBACK_SEND_BUFFER: usize = 256 << 10;

/// Sockets that the process was started with.
#[derive(Debug, Clone, Default)]
pub struct Inherited(Arc<Mutex<Vec<Option<Socket>>>>);

/// A socket that listens.
#[derive(Debug)]
pub enum Socket {
    /// Of TCP.
    Tcp(std::net::TcpListener),
    /// Of this machine.
    Unix(unix::UnixListener),
}

impl Inherited {
    /// In the order in which they were given.
    #[must_use]
    pub fn new(sockets: Vec<Socket>) -> Self {
        Self(Arc::new(Mutex::new(sockets.into_iter().map(Some).collect())))
    }

    fn take(&self, number: usize) -> io::Result<Socket> {
        let mut sockets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let given = sockets.len();
        let taken = sockets.get_mut(number).and_then(Option::take);
        taken.ok_or_else(|| {
            io::Error::other(format!(
                "systemd gave {given} sockets, and `systemd:{number}` is not among them or has been taken"
            ))
        })
    }
}

/// Where connections come from.
#[derive(Debug)]
pub enum Listener {
    /// Of TCP.
    Tcp(TcpListener),
    /// Of this machine; the file goes when the listener does.
    Unix(UnixListener, Option<SocketFile>),
}

/// The file of a Unix socket.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another server may have replaced it; then there is nothing of ours to remove, and no harm in a file less.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A connection.
#[derive(Debug)]
pub enum Accepted {
    /// Of TCP, and its peer.
    Tcp(std::net::TcpStream, SocketAddr),
    /// Of this machine.
    Unix(unix::UnixStream),
}

impl Accepted {
    /// The peer's address.
    #[must_use]
    pub fn peer(&self) -> IpAddr {
        match self {
            Self::Tcp(_, peer) => peer.ip(),
            Self::Unix(_) => Ipv4Addr::LOCALHOST.into(),
        }
    }
}

impl Listener {
    /// Listens there.
    ///
    /// # Errors
    /// Where that cannot be done.
    pub async fn bind(at: &ListenAt, inherited: &Inherited) -> io::Result<Self> {
        match at {
            ListenAt::Tcp(address) => Ok(Self::Tcp(TcpListener::bind(address).await?)),
            ListenAt::Unix(path) => bind_unix(path),
            ListenAt::Systemd(number) => match inherited.take(*number)? {
                Socket::Tcp(socket) => {
                    socket.set_nonblocking(true)?;
                    Ok(Self::Tcp(TcpListener::from_std(socket)?))
                }
                Socket::Unix(socket) => {
                    socket.set_nonblocking(true)?;
                    Ok(Self::Unix(UnixListener::from_std(socket)?, None))
                }
            },
        }
    }

    /// The address; none for a Unix socket.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }

    /// The next connection, not yet bound to a runtime: whoever serves it waits for it from its first byte on.
    ///
    /// # Errors
    /// What the system says.
    pub async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Small answers should not wait for each other.
                let _ = stream.set_nodelay(true);
                if peer.ip().to_canonical().is_loopback() {
                    let _ = set_socket_send_buffer_size(&stream, LOOPBACK_SEND_BUFFER);
                }
                Ok(Accepted::Tcp(stream.into_std()?, peer))
            }
            Self::Unix(listener, _) => Ok(Accepted::Unix(listener.accept().await?.0.into_std()?)),
        }
    }
}

/// The file of a server that is gone is taken away; one that somebody listens on is not.
fn bind_unix(path: &Path) -> io::Result<Listener> {
    if std::fs::symlink_metadata(path).is_ok_and(|file| is_socket(&file)) {
        match unix::UnixStream::connect(path) {
            Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
            Err(_) => std::fs::remove_file(path)?,
        }
    }
    let listener = UnixListener::bind(path)?;
    Ok(Listener::Unix(listener, Some(SocketFile(path.to_owned()))))
}

fn is_socket(file: &std::fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_socket(&file.file_type())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s3.sock");
        let at = ListenAt::Unix(path.clone());
        drop(unix::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the system leaves it");
        let first = Listener::bind(&at, &Inherited::default()).await.unwrap();
        let second = Listener::bind(&at, &Inherited::default()).await.unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
        let client = std::thread::spawn({
            let path = path.clone();
            move || unix::UnixStream::connect(path).unwrap()
        });
        assert_eq!(first.accept().await.unwrap().peer(), IpAddr::from([127, 0, 0, 1]));
        drop(client.join().unwrap());
        drop(first);
        assert!(!path.exists());
        // A file that is no socket is somebody's.
        std::fs::write(&path, "x").unwrap();
        assert!(Listener::bind(&at, &Inherited::default()).await.is_err());
    }

    /// Elsewhere the system finds out how much is under way.
    #[tokio::test]
    async fn little_waits_for_a_peer_on_this_machine() {
        for address in ["127.0.0.1:0", "[::]:0"] {
            let Ok(socket) = std::net::TcpListener::bind(address) else { continue };
            let port = socket.local_addr().unwrap().port();
            let inherited = Inherited::new(vec![Socket::Tcp(socket)]);
            let listener = Listener::bind(&ListenAt::Systemd(0), &inherited).await.unwrap();
            let _client = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            let Accepted::Tcp(stream, _) = listener.accept().await.unwrap() else { panic!() };
            let waits = rustix::net::sockopt::socket_send_buffer_size(&stream).unwrap();
            assert!((1..=2 * LOOPBACK_SEND_BUFFER).contains(&waits), "{address}: {waits}");
        }
    }

    #[tokio::test]
    async fn sockets_of_systemd_are_taken_by_their_number_once() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let inherited = Inherited::new(vec![Socket::Tcp(socket)]);
        let taken = Listener::bind(&ListenAt::Systemd(0), &inherited).await.unwrap();
        assert_eq!(taken.address(), Some(address));
        for number in [0, 1] {
            let error = Listener::bind(&ListenAt::Systemd(number), &inherited).await.unwrap_err();
            assert!(error.to_string().contains("systemd gave 1 sockets"), "{error}");
        }
    }
}
