//! The connection under an SMTP session, and its encryption.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use lettre::transport::smtp::client::{AsyncTokioStream, Certificate, TlsParameters};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Server, ServerError, Tls};

/// How a connection is encrypted, ready to use.
pub(super) enum Encryption {
    /// From the first byte.
    Implicit(Arc<ClientConfig>, ServerName<'static>),
    /// By STARTTLS; whether a server without it is refused.
    StartTls {
        parameters: Box<TlsParameters>,
        required: bool,
    },
    /// Not at all.
    Off,
}

impl Encryption {
    /// Prepares what the server's setting asks for. Trusted are the system's
    /// root certificates and those of `ca_file`.
    pub(super) fn new(server: &Server, ca_file: Option<&Path>) -> Result<Self, ServerError> {
        let required = match server.tls {
            Tls::Off => return Ok(Self::Off),
            Tls::Implicit => return implicit(server, own_roots(ca_file)?),
            Tls::Required => true,
            Tls::Opportunistic => false,
        };
        let mut builder = TlsParameters::builder(server.host.clone());
        for root in own_roots(ca_file)? {
            let root = Certificate::from_der(root.to_vec()).map_err(tls_error)?;
            builder = builder.add_root_certificate(root);
        }
        let parameters = Box::new(builder.build_rustls().map_err(tls_error)?);
        Ok(Self::StartTls {
            parameters,
            required,
        })
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

fn implicit(
    server: &Server,
    own_roots: Vec<CertificateDer<'static>>,
) -> Result<Encryption, ServerError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for root in own_roots {
        roots.add(root).map_err(tls_error)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls_error)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(server.host.clone()).map_err(tls_error)?;
    Ok(Encryption::Implicit(Arc::new(config), name))
}

/// Connects, with TLS from the first byte if the setting asks for it.
pub(super) async fn connect(
    server: &Server,
    encryption: &Encryption,
) -> io::Result<Box<dyn AsyncTokioStream>> {
    let tcp = TcpStream::connect((server.host.as_str(), server.port)).await?;
    // Short commands wait for the peer's delayed acknowledgement otherwise.
    tcp.set_nodelay(true)?;
    match encryption {
        Encryption::Implicit(config, name) => {
            let connector = TlsConnector::from(config.clone());
            Ok(Box::new(TlsStream(
                connector.connect(name.clone(), tcp).await?,
            )))
        }
        _ => Ok(Box::new(tcp)),
    }
}

/// A TLS stream that lettre takes: it wants to know the peer's address.
#[derive(Debug)]
struct TlsStream(tokio_rustls::client::TlsStream<TcpStream>);

impl AsyncTokioStream for TlsStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().0.peer_addr()
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
