//! A real Mosquitto with every door a broker can have: an open one for the test itself; and for the bridge TCP, TLS,
//! WebSocket, both together, and a Unix socket, each of which wants a user, those with TLS a client's certificate too.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use super::mosquitto::free_address;
use super::{Mosquitto, Process};

/// Longer than a user name may be anywhere: as long as a token.
pub const PASSWORD_LENGTH: usize = 500;

/// The broker and what leads in.
pub struct Doors {
    pub mosquitto: Mosquitto,
    ways: Ways,
}

/// The addresses of its doors.
struct Ways {
    tcp: SocketAddr,
    tls: SocketAddr,
    web: SocketAddr,
    web_tls: SocketAddr,
    socket: PathBuf,
    folder: PathBuf,
}

impl Doors {
    pub async fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let ways = Ways {
            tcp: free_address(),
            tls: free_address(),
            web: free_address(),
            web_tls: free_address(),
            socket: folder.path().join("mqtt.sock"),
            folder: folder.path().to_owned(),
        };
        write_certificates(folder.path());
        write_passwords(folder.path()).await;
        let address = free_address();
        std::fs::write(folder.path().join("mosquitto.conf"), ways.configuration(address)).unwrap();
        Self { mosquitto: Mosquitto::again((address, folder)).await, ways }
    }

    /// Dies as a machine that is switched off, and comes back.
    pub async fn kill(self) -> ((SocketAddr, TempDir), impl FnOnce(Mosquitto) -> Self) {
        let Self { mosquitto, ways } = self;
        (mosquitto.kill().await, |mosquitto| Self { mosquitto, ways })
    }

    pub fn plain(&self) -> String {
        format!("mqtt://{}", self.mosquitto.address)
    }

    /// Without TLS, and yet for users only: as Home Assistant's.
    pub fn for_users(&self) -> String {
        format!("mqtt://{}", self.ways.tcp)
    }

    pub fn tls(&self) -> String {
        format!("mqtts://{}", self.ways.tls)
    }

    pub fn web(&self) -> String {
        format!("ws://{}", self.ways.web)
    }

    pub fn web_tls(&self) -> String {
        format!("wss://{}/any/path", self.ways.web_tls)
    }

    pub fn socket(&self) -> String {
        format!("unix://{}", self.ways.socket.display())
    }

    /// Lines of `[home]` that trust this broker's authority.
    pub fn trust(&self) -> String {
        format!("ca_file = {:?}\n", self.ways.folder.join("ca.pem"))
    }

    /// Lines of `[home]` that show who the bridge is.
    pub fn identity(&self) -> String {
        let file = |name| self.ways.folder.join(name);
        format!("client_cert_file = {:?}\nclient_key_file = {:?}\n", file("client.pem"), file("client.key"))
    }
}

pub fn password() -> String {
    "token".repeat(PASSWORD_LENGTH / 5)
}

impl Ways {
    fn configuration(&self, open: SocketAddr) -> String {
        let file = |name| self.folder.join(name).display().to_string();
        // Started by root it would become another user, who may not read the folder.
        let mut text = format!(
            "user root\nper_listener_settings true\nlistener {} {}\nallow_anonymous true\n",
            open.port(),
            open.ip()
        );
        let tls = format!(
            "cafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\n",
            file("ca.pem"),
            file("server.pem"),
            file("server.key")
        );
        let web = "protocol websockets\n";
        let bare = [(self.tcp, String::new()), (self.tls, tls.clone())];
        let webs = [(self.web, web.into()), (self.web_tls, format!("{web}{tls}"))];
        let doors = [bare, webs].concat();
        let doors = doors.iter().map(|(at, lines)| (format!("{} {}", at.port(), at.ip()), lines.as_str()));
        for (door, lines) in doors.chain([(format!("0 {}", self.socket.display()), "")]) {
            let passwords = file("passwords");
            write!(text, "listener {door}\n{lines}allow_anonymous false\npassword_file {passwords}\n").unwrap();
        }
        text
    }
}

fn write_certificates(folder: &Path) {
    let mut authority = named("an authority of the tests");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    };
    write("ca.pem", authority.as_ref().pem());
    for (name, of) in [("server", "127.0.0.1"), ("client", "ferry")] {
        let key = KeyPair::generate().unwrap();
        let certificate = named(of).signed_by(&key, &authority).unwrap();
        write(&format!("{name}.pem"), certificate.pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
}

/// For this host, and under a name of its own: what is called like its authority is taken for that.
fn named(of: &str) -> CertificateParams {
    let mut params = CertificateParams::new([of.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, of);
    params
}

/// The one user is called `ferry`.
async fn write_passwords(folder: &Path) {
    let (file, password) = (folder.join("passwords"), password());
    let arguments = [OsStr::new("-c"), OsStr::new("-b"), file.as_os_str(), OsStr::new("ferry"), OsStr::new(&password)];
    let made = Process::start(OsStr::new("mosquitto_passwd"), &arguments).expect("it comes with Mosquitto");
    let (status, said) = made.ended().await;
    assert!(status.success(), "{said}");
}
