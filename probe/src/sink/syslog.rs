//! Alerts to a syslog receiver: over UDP, over TCP with octet counting (RFC 6587), or to a socket of this host.
//!
//! Over TCP a delivery counts once the receiver has read all of it and closed the connection. Over UDP nobody says whether
//! anything has arrived. Must not know what a message says.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UdpSocket, UnixDatagram},
};

use super::{
    forwarder::{Carrier, Failed, Forwarder},
    outgoing::{Address, connect, resolve},
};
use crate::{
    render::syslog_text,
    report::{alert::Alert, origin::Origin},
};

/// Messages of one connection at most.
const AT_ONCE: usize = 64;
/// What a receiver says over TCP is read up to this many bytes, and ignored. One that says more is none.
const ANSWER_MAX: usize = 4_096;

/// Where a receiver is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    Udp(Address),
    Tcp(Address),
    /// A datagram socket of this host.
    Socket(PathBuf),
}

impl FromStr for Receiver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(address) = text.strip_prefix("udp://") {
            return address.parse().map(Self::Udp);
        }
        if let Some(address) = text.strip_prefix("tcp://") {
            return address.parse().map(Self::Tcp);
        }
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Socket(path.into())),
            _ => Err("not a receiver: write udp://HOST:PORT, tcp://HOST:PORT, unix:/PATH or none".to_owned()),
        }
    }
}

impl fmt::Display for Receiver {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => write!(to, "udp://{address}"),
            Self::Tcp(address) => write!(to, "tcp://{address}"),
            Self::Socket(path) => write!(to, "unix:{}", path.display()),
        }
    }
}

/// Starts the sink, within the runtime. `facility`: its number.
pub fn start(receiver: Receiver, facility: u8, origin: Origin) -> Forwarder<Arc<Alert>> {
    Forwarder::start(format!("syslog {receiver}"), Syslog { receiver, facility, origin }, false)
}

struct Syslog {
    receiver: Receiver,
    facility: u8,
    origin: Origin,
}

impl Carrier for Syslog {
    type Item = Arc<Alert>;

    /// A datagram is a delivery of its own: the one after it may fail.
    fn most_at_once(&self) -> usize {
        if matches!(self.receiver, Receiver::Tcp(_)) { AT_ONCE } else { 1 }
    }

    async fn deliver(&mut self, items: &[Arc<Alert>]) -> Result<u64, Failed> {
        let messages: Vec<Vec<u8>> =
            items.iter().map(|alert| syslog_text::message(alert, &self.origin, self.facility)).collect();
        let sent = match &self.receiver {
            Receiver::Tcp(address) => over_tcp(address, &messages).await,
            Receiver::Udp(address) => over_udp(address, &messages).await,
            Receiver::Socket(path) => to_socket(path, &messages).await,
        };
        sent.map(|()| 0).map_err(Failed::Now)
    }
}

/// Each message with its length before it. Ends when the receiver has read all of it.
async fn over_tcp(address: &Address, messages: &[Vec<u8>]) -> Result<(), String> {
    let mut frames = Vec::new();
    for message in messages {
        frames.extend_from_slice(format!("{} ", message.len()).as_bytes());
        frames.extend_from_slice(message);
    }
    let mut stream = connect(address).await?;
    let broken = |error: std::io::Error| format!("the connection to {address} broke: {error}");
    stream.write_all(&frames).await.map_err(broken)?;
    stream.shutdown().await.map_err(broken)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX as u64).read_to_end(&mut answer).await.map_err(broken)?;
    if answer.len() == ANSWER_MAX {
        Err(format!("{address} is no receiver of syslog: it talks"))
    } else {
        Ok(())
    }
}

async fn over_udp(address: &Address, messages: &[Vec<u8>]) -> Result<(), String> {
    let to = *resolve(address).await?.first().ok_or_else(|| format!("{} has no address", address.host))?;
    let any: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let cannot = |error: std::io::Error| format!("cannot send to {to}: {error}");
    let socket = UdpSocket::bind(any).await.map_err(cannot)?;
    socket.connect(to).await.map_err(cannot)?;
    for message in messages {
        socket.send(message).await.map_err(cannot)?;
    }
    // Where nobody listens on this host, the kernel says so at once.
    match socket.take_error() {
        Ok(None) => Ok(()),
        Ok(Some(error)) | Err(error) => Err(cannot(error)),
    }
}

async fn to_socket(path: &Path, messages: &[Vec<u8>]) -> Result<(), String> {
    let cannot = |error: std::io::Error| format!("cannot send to {}: {error}", path.display());
    let socket = UnixDatagram::unbound().map_err(cannot)?;
    socket.connect(path).map_err(cannot)?;
    for message in messages {
        socket.send(message).await.map_err(cannot)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    /// What becomes of two messages that are sent over TCP to somebody who does this.
    fn sent_to(receive: impl AsyncFnOnce(tokio::net::TcpStream)) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
            let port = listener.local_addr().expect("bound").port();
            let address = Address { host: "127.0.0.1".into(), port };
            let messages = [b"one".to_vec(), vec![b'x'; 1 << 22]];
            let receive = async {
                let (stream, _) = listener.accept().await.expect("a connection");
                receive(stream).await;
            };
            let (sent, ()) = tokio::join!(
                tokio::time::timeout(Duration::from_secs(1), over_tcp(&address, &messages)),
                receive
            );
            sent.unwrap_or_else(|_| Err("it hangs".into()))
        })
    }

    #[test]
    fn over_tcp_a_message_counts_when_all_of_it_was_read_and_the_connection_closed() {
        let mut read = Vec::new();
        let sent = sent_to(async |mut stream| {
            stream.read_to_end(&mut read).await.expect("all of it");
        });
        assert_eq!(
            (sent, read.starts_with(b"3 one4194304 xxx"), read.len()),
            (Ok(()), true, 5 + 8 + (1 << 22))
        );
        // Who closes in the middle has not read all, and who does not close has perhaps not.
        let sent = sent_to(async |mut stream| {
            stream.read_exact(&mut [0; 10]).await.expect("a part");
        });
        assert!(sent.expect_err("not read").contains("broke"));
        let sent = sent_to(async |mut stream| {
            let mut part = vec![0; 1 << 16];
            while stream.read(&mut part).await.expect("all of it") > 0 {}
            tokio::time::sleep(Duration::from_secs(2)).await;
        });
        assert_eq!(sent, Err("it hangs".into()));
        let sent = sent_to(async |mut stream| {
            let mut part = vec![0; 1 << 16];
            while stream.read(&mut part).await.expect("all of it") > 0 {}
            stream.write_all(&[b'x'; 2 * ANSWER_MAX]).await.expect("it talks");
        });
        assert!(sent.expect_err("garbage").contains("it talks"));
    }

    #[test]
    fn receivers_are_read_as_they_are_written() {
        for text in ["udp://127.0.0.1:514", "tcp://[::1]:601", "unix:/dev/log"] {
            assert_eq!(text.parse::<Receiver>().expect(text).to_string(), text);
        }
        for text in ["", "127.0.0.1:514", "udp://host", "unix:dev/log", "unix:", "tls://host:1", "UDP://h:1"]
        {
            assert!(text.parse::<Receiver>().is_err(), "{text}");
        }
    }
}
