//! The connection under an SMTP session, and its encryption.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
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

/// Connects, with TLS from the first byte if the setting asks for it.
pub(super) async fn connect(
    server: &Server,
    encryption: &Encryption,
) -> io::Result<Box<dyn Stream>> {
    let tcp = TcpStream::connect((server.host.as_str(), server.port)).await?;
    // Short commands wait for the peer's delayed acknowledgement otherwise.
    tcp.set_nodelay(true)?;
    match encryption {
        Encryption::Implicit(handshake) => handshake.encrypt(Box::new(tcp)).await,
        Encryption::StartTls { .. } | Encryption::Off => Ok(Box::new(tcp)),
    }
}
