//! A private PgBouncer in transaction mode: what Supabase and others put before Postgres. For tests
//! only.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    str::FromStr as _,
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
};

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use url::Url;

/// What it says when it listens.
const UP: &str = "process up";

/// A port that was free may be taken a moment later.
const MOST_STARTS: usize = 5;

/// Why there is no PgBouncer.
#[derive(Debug, thiserror::Error)]
pub enum PgBouncerError {
    /// The program is missing.
    #[error("pgbouncer is not on the PATH: apt-get install pgbouncer, or let `cargo xtask test` do it")]
    NotInstalled,
    /// The server's URL cannot be read. It is a secret and is not shown.
    #[error("the URL of the server cannot be read")]
    Url,
    /// The file system or the process failed.
    #[error("pgbouncer could not be started")]
    Io(#[from] io::Error),
    /// It ended at once.
    #[error("pgbouncer ended at its start:\n{0}")]
    Ended(String),
}

/// A running PgBouncer before one server, for all its databases. It is stopped with this value.
#[derive(Debug)]
pub struct PgBouncer {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl PgBouncer {
    /// Starts one before the server of `server_url`, with `pool_size` server connections for each
    /// database. Returns when it listens.
    pub fn start(server_url: &SecretString, pool_size: u32) -> Result<Self, PgBouncerError> {
        let mut starts = 1;
        loop {
            match Self::start_once(server_url, pool_size) {
                Err(PgBouncerError::Ended(_)) if starts < MOST_STARTS => starts += 1,
                outcome => return outcome,
            }
        }
    }

    fn start_once(server_url: &SecretString, pool_size: u32) -> Result<Self, PgBouncerError> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let settings = settings(server_url, port, pool_size)?;
        let folder = make_folder()?;
        let outcome = launch(&folder, &settings);
        let (mut child, stderr) = match outcome {
            Ok(started) => started,
            Err(error) => {
                fs::remove_dir_all(&folder)?;
                return Err(error);
            }
        };
        let (said_up, is_up) = mpsc::channel();
        // Reads on until the end: a full pipe would stop the process.
        let log = thread::spawn(move || read_log(stderr, &said_up));
        if is_up.recv().is_err() {
            child.wait()?;
            fs::remove_dir_all(&folder)?;
            return Err(PgBouncerError::Ended(log.join().unwrap_or_default()));
        }
        Ok(Self { child, port, folder })
    }

    /// Where it is.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A database of the server, through the pooler.
    pub fn url(&self, database: &str) -> SecretString {
        // It takes any name, and is who the server's URL says.
        format!("postgres://anybody@127.0.0.1:{}/{database}", self.port).into()
    }

    /// Stops it as a crash would.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let stopped = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = stopped.and_then(|_| fs::remove_dir_all(&self.folder)) {
            tracing::warn!(%error, "a test's pgbouncer left something behind");
        }
    }
}

fn settings(server_url: &SecretString, port: u16, pool_size: u32) -> Result<String, PgBouncerError> {
    let url = server_url.expose_secret();
    let options = PgConnectOptions::from_str(url).map_err(|_| PgBouncerError::Url)?;
    let socket = options.get_socket().map(|path| path.display().to_string());
    let mut server = format!(
        "host={} port={} user={}",
        socket.as_deref().unwrap_or(options.get_host()),
        options.get_port(),
        options.get_username()
    );
    if let Some(password) = password(url)? {
        server.push_str(" password='");
        server.push_str(&password.replace('\'', "''"));
        server.push('\'');
    }
    // The server connections of a database are used in turn, so that a client hardly ever meets the
    // one that it had before: what is wrong in transaction mode shows at once.
    Ok(format!(
        "[databases]
* = {server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
server_round_robin = 1
max_client_conn = 1000
log_connections = 0
log_disconnections = 0
log_stats = 0
"
    ))
}

/// The options keep the password to themselves.
fn password(url: &str) -> Result<Option<String>, PgBouncerError> {
    let url = Url::parse(url).map_err(|_| PgBouncerError::Url)?;
    Ok(url.password().map(|encoded| {
        // A form's decoding is the same but for the plus sign.
        let form = encoded.replace('+', "%2B");
        url::form_urlencoded::parse(form.as_bytes())
            .map(|(decoded, _)| decoded.into_owned())
            .collect()
    }))
}

fn make_folder() -> io::Result<PathBuf> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("rolecall-pgbouncer-{}-{number}", std::process::id()));
    DirBuilder::new().mode(0o700).create(&folder)?;
    Ok(folder)
}

fn launch(folder: &Path, settings: &str) -> Result<(Child, ChildStderr), PgBouncerError> {
    let path = folder.join("pgbouncer.ini");
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    file.write_all(settings.as_bytes())?;
    let mut command = Command::new("pgbouncer");
    // It refuses to run as root. What we have just made shows who we are.
    if fs::metadata(folder)?.uid() == 0 {
        let accounts = fs::read_to_string("/etc/passwd")?;
        let has_postgres = accounts.lines().any(|line| line.starts_with("postgres:"));
        command.args(["-u", if has_postgres { "postgres" } else { "nobody" }]);
    }
    let child = command
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => PgBouncerError::NotInstalled,
        _ => PgBouncerError::Io(error),
    })?;
    let stderr = child
        .stderr
        .take()
        .ok_or_else(|| io::Error::other("no standard error"))?;
    Ok((child, stderr))
}

/// Says when the log says that it is up. Returns what was said before.
fn read_log(stderr: ChildStderr, said_up: &mpsc::Sender<()>) -> String {
    let mut before = String::new();
    let mut is_up = false;
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if !is_up && line.contains(UP) {
            is_up = true;
            // Nobody listens only if the test is over.
            said_up.send(()).unwrap_or_default();
        } else if !is_up {
            before.push_str(&line);
            before.push('\n');
        }
    }
    before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_named_as_its_url_names_it() {
        for (url, expected) in [
            ("postgres://me@h:5433/db", "* = host=h port=5433 user=me\n"),
            (
                "postgres://me:a%40%27+b@h/db",
                "* = host=h port=5432 user=me password='a@''+b'\n",
            ),
            (
                "postgres://me@localhost/db?host=/run/pg",
                "* = host=/run/pg port=5432 user=me\n",
            ),
        ] {
            let settings = settings(&url.into(), 6432, 4).unwrap();
            assert!(settings.contains(expected), "{url}: {settings}");
        }
    }
}
