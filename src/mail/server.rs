//! Which mail server, as the configuration names it.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

/// A mail server and how the way to it is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name (ASCII) or IP address.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// TLS.
    pub tls: Tls,
}

/// When the connection is encrypted. The server's certificate is always checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// From the first byte (`smtps://`, RFC 8314).
    Implicit,
    /// By STARTTLS (RFC 3207); without it nothing is sent. The default.
    Required,
    /// By STARTTLS if the server offers it; a login is never sent without it.
    Opportunistic,
    /// Never. A login goes in the clear: for a server on this machine only.
    Off,
}

/// The login at the server.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user's name.
    pub username: String,
    /// The password; never shown.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Settings that no server can be reached with.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Not a URL of a mail server. Does not repeat the URL: it may hold a password.
    #[error(
        "mail server URL: {0}: expected smtp://HOST[:PORT][?tls=required|opportunistic|off] \
         or smtps://HOST[:PORT]"
    )]
    Url(String),
    /// The file of root certificates.
    #[error("root certificates {file}: {problem}: expected certificates in PEM form")]
    CaFile {
        /// The file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// TLS cannot be set up.
    #[error("TLS for the mail server: {0}")]
    Tls(String),
}

impl FromStr for Server {
    type Err = ServerError;

    /// Reads `smtp://HOST[:PORT][?tls=required|opportunistic|off]` (default
    /// `required`; port 587 if required, else 25) or `smtps://HOST[:PORT]`
    /// (port 465).
    fn from_str(text: &str) -> Result<Self, ServerError> {
        let refused = |problem: String| ServerError::Url(problem);
        let url = Url::parse(text).map_err(|error| refused(error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused(
                "it holds a login, which has keys of its own".into(),
            ));
        }
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(refused("something follows the server's name".into()));
        }
        let mut tls = match url.scheme() {
            "smtp" => Tls::Required,
            "smtps" => Tls::Implicit,
            other => return Err(refused(format!("`{other}://` is no mail protocol"))),
        };
        for (key, value) in url.query_pairs() {
            tls = match (key.as_ref(), value.as_ref(), tls) {
                ("tls", _, Tls::Implicit) => {
                    return Err(refused(
                        "smtps:// is always encrypted and takes no `tls`".into(),
                    ));
                }
                ("tls", "required", _) => Tls::Required,
                ("tls", "opportunistic", _) => Tls::Opportunistic,
                ("tls", "off", _) => Tls::Off,
                _ => return Err(refused(format!("`{key}={value}` is no setting"))),
            };
        }
        Ok(Self {
            host: host(&url)?,
            port: url.port().unwrap_or(default_port(tls)),
            tls,
        })
    }
}

/// A name comes percent-encoded out of a URL whose scheme is not the web's.
fn host(url: &Url) -> Result<String, ServerError> {
    let host = url.host_str().unwrap_or_default();
    match Host::parse(host) {
        Ok(Host::Domain(name)) => Ok(name),
        Ok(Host::Ipv4(address)) => Ok(address.to_string()),
        Ok(Host::Ipv6(address)) => Ok(address.to_string()),
        Err(_) => Err(ServerError::Url(format!("`{host}` is no server's name"))),
    }
}

fn default_port(tls: Tls) -> u16 {
    match tls {
        Tls::Implicit => 465,
        Tls::Required => 587,
        Tls::Opportunistic | Tls::Off => 25,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_server() {
        for (text, host, port, tls) in [
            ("smtp://mail.example", "mail.example", 587, Tls::Required),
            (
                "smtp://mail.example:2525/?tls=required",
                "mail.example",
                2525,
                Tls::Required,
            ),
            (
                "smtp://mail.example?tls=opportunistic",
                "mail.example",
                25,
                Tls::Opportunistic,
            ),
            ("smtp://127.0.0.1?tls=off", "127.0.0.1", 25, Tls::Off),
            ("smtp://[::1]:25?tls=off", "::1", 25, Tls::Off),
            ("smtps://mail.example", "mail.example", 465, Tls::Implicit),
            (
                "smtps://Mail.B\u{fc}cher.example",
                "mail.xn--bcher-kva.example",
                465,
                Tls::Implicit,
            ),
        ] {
            let expected = Server {
                host: host.into(),
                port,
                tls,
            };
            assert_eq!(text.parse::<Server>().unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_server_is_refused_without_its_password() {
        for (text, problem) in [
            ("mail.example", "relative URL"),
            ("http://mail.example", "`http://` is no mail protocol"),
            ("smtp://", "is no server's name"),
            ("smtp://mail.example:99999", "invalid port"),
            ("smtp://u:secret@mail.example", "login"),
            ("smtp://mail.example/inbox", "follows"),
            ("smtp://mail.example?tls=maybe", "`tls=maybe`"),
            ("smtp://mail.example?ssl=on", "`ssl=on`"),
            ("smtps://mail.example?tls=off", "always encrypted"),
        ] {
            let error = text.parse::<Server>().unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
            assert!(error.contains("expected smtp://HOST"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let login = Login {
            username: "shop".into(),
            password: "secret".into(),
        };
        assert_eq!(format!("{login:?}"), "Login { username: \"shop\", .. }");
    }
}
