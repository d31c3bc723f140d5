//! The connection under an SMTP session, and its encryption.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Server, ServerError, Tls};

/// A connection, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// How a connection is encrypted, ready to use.
#[derive(Clone)]
pub(super) enum Encryption {
    /// From the first byte.
    Implicit(Handshake),
    /// By STARTTLS; whether a server without it is refused.
    StartTls {
        handshake: Handshake,
        required: bool,
    },
    /// Not at all.
    Off,
}

/// What it takes to encrypt a connection to one server.
#[derive(Clone)]
pub(super) struct Handshake {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Encryption {
    /// Prepares what the server's setting asks for. Trusted are the system's
    /// root certificates and those of `ca_file`.
    pub(super) fn new(server: &Server, ca_file: Option<&Path>) -> Result<Self, ServerError> {
        let handshake = || Handshake::new(&server.host, ca_file);
        Ok(match server.tls {
            Tls::Off => Self::Off,
            Tls::Implicit => Self::Implicit(handshake()?),
            Tls::Required | Tls::Opportunistic => Self::StartTls {
                handshake: handshake()?,
                required: server.tls == Tls::Required,
            },
        })
    }
}

impl Handshake {
    fn new(host: &str, ca_file: Option<&Path>) -> Result<Self, ServerError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for root in own_roots(ca_file)? {
            roots.add(root).map_err(tls_error)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(tls_error)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            connector: Arc::new(config).into(),
            name: ServerName::try_from(host.to_owned()).map_err(tls_error)?,
        })
    }

    /// Encrypts a connection, once the server's certificate was checked.
    pub(super) async fn encrypt(&self, stream: Box<dyn Stream>) -> io::Result<Box<dyn Stream>> {
        let encrypted = self.connector.connect(self.name.clone(), stream).await?;
        Ok(Box::new(encrypted))
    }
}

fn tls_error(error: impl std::fmt::Display) -> ServerError {
    ServerError::Tls(error.to_string())
}

/// The certificates of the file; a file without any is refused.
fn own_roots(ca_file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, ServerError> {
    let Some(file) = ca_file else {
        return Ok(Vec::new());
    };
    let refused = |problem: String| ServerError::CaFile {
        file: file.display().to_string(),
        problem,
    };
    let roots = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| refused(error.to_string()))?;
    if roots.is_empty() {
        return Err(refused("it holds no certificate".to_owned()));
    }
    Ok(roots)
}

/// Connects within `limit`, with TLS from the first byte if the setting asks
/// for it.
pub(super) async fn connect(
    server: &Server,
    encryption: &Encryption,
    limit: Duration,
) -> io::Result<Box<dyn Stream>> {
    let addresses = lookup_host((server.host.as_str(), server.port)).await?;
    let tcp = reach(&addresses.collect::<Vec<_>>(), limit).await?;
    // Short commands wait for the peer's delayed acknowledgement otherwise.
    tcp.set_nodelay(true)?;
    match encryption {
        Encryption::Implicit(handshake) => handshake.encrypt(Box::new(tcp)).await,
        Encryption::StartTls { .. } | Encryption::Off => Ok(Box::new(tcp)),
    }
}

/// Connects to the first address that answers (RFC 5321, 5.1). Each has its
/// share of the time: one that is silent keeps nobody from the next.
async fn reach(addresses: &[SocketAddr], limit: Duration) -> io::Result<TcpStream> {
    let share = limit / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => failed = error,
            Err(_) => {
                let problem = format!("no answer within {share:?}");
                failed = io::Error::new(io::ErrorKind::TimedOut, problem);
            }
        }
    }
    Err(failed)
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[tokio::test]
    async fn an_address_that_is_silent_keeps_nobody_from_the_next() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = socket.local_addr().unwrap();
        let _listener = socket.listen(1).unwrap();
        let short = Duration::from_millis(200);
        let mut kept = Vec::new();
        while let Ok(connected) = timeout(short, TcpStream::connect(full)).await {
            kept.push(connected.unwrap());
        }
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = server.local_addr().unwrap();
        let reached = timeout(4 * short, reach(&[full, there], 2 * short)).await;
        assert_eq!(reached.unwrap().unwrap().peer_addr().unwrap(), there);
        let error = reach(&[full], short).await.unwrap_err();
        assert_eq!(error.to_string(), "no answer within 200ms");
        let error = reach(&[], short).await.unwrap_err();
        assert_eq!(error.to_string(), "its name has no address");
    }
}
