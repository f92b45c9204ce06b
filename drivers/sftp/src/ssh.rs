//! Reaching the server and logging in. SSH itself is the crate `russh`'s work; see
//! `docs/design/0007-sftp.md` for why this one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onitu_plug::Fault;
use russh::MethodSet;
use russh::client::{self, AuthResult, Config, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_key::{Algorithm, HashAlg, PrivateKey};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::fault::{lost, unavailable};
use crate::hosts::Hosts;
use crate::lost::Lost;
use crate::options::Options;

/// Reaching a server, agreeing on keys and logging in may take so long.
const LIMIT: Duration = Duration::from_secs(30);
/// A silent server is asked whether it is there,
const KEEPALIVE: Duration = Duration::from_secs(10);
/// and is gone if it doesn't answer so often.
const KEEPALIVES_MAX: usize = 3;
/// Bytes that a server may send before it is told to go on.
const WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// Longest packet that is taken.
const PACKET_BYTES: u32 = 65_535;
/// Servers end a connection after six attempts to log in.
const IDENTITIES_MAX: usize = 4;
/// The keys of a user, in the order in which they are tried.
const KEYS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// What `russh` tells of the connection.
pub(crate) struct Witness {
    hosts: Hosts,
    verdict: Arc<Mutex<Option<Fault>>>,
    lost: Arc<Lost>,
}

/// An SSH connection on which somebody is logged in.
pub(crate) type Connection = Handle<Witness>;

impl client::Handler for Witness {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let verdict = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.hosts.judge(key),
            // Never asked for.
            PublicKeyOrCertificate::Certificate(_) => {
                Err(unavailable("the server shows a certificate in the place of its host key"))
            }
        };
        let trusted = verdict.is_ok();
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = verdict.err();
        Ok(trusted)
    }

    async fn disconnected(
        &mut self,
        reason: client::DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        self.lost.tell("the connection to the server was lost");
        match reason {
            client::DisconnectReason::ReceivedDisconnect(_) => Ok(()),
            client::DisconnectReason::Error(error) => Err(error),
        }
    }
}

/// Connects to the server and logs in.
pub(crate) async fn connect(options: &Options, gone: Arc<Lost>) -> Result<Connection, Fault> {
    let server = options.server();
    let reached = timeout(LIMIT, async {
        let mut connection = reach(options, gone).await?;
        login(&mut connection, options).await?;
        Ok(connection)
    });
    reached.await.unwrap_or_else(|_| {
        let text = format!("the server `{server}` didn't answer within {} s", LIMIT.as_secs());
        Err(unavailable(text))
    })
}

async fn reach(options: &Options, gone: Arc<Lost>) -> Result<Connection, Fault> {
    let (host, port) = (options.host.clone(), options.port);
    let file = options.known_hosts.clone();
    let hosts = spawn_blocking(move || Hosts::load(&host, port, file)).await;
    let hosts = hosts.map_err(|_| lost("a call"))??;
    let config = Config {
        preferred: hosts.preferred(),
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: KEEPALIVES_MAX,
        window_size: WINDOW_BYTES,
        maximum_packet_size: PACKET_BYTES,
        nodelay: true,
        ..Config::default()
    };
    let verdict = Arc::new(Mutex::new(None));
    let witness = Witness { hosts, verdict: Arc::clone(&verdict), lost: gone };
    let address = (options.host.as_str(), options.port);
    client::connect(Arc::new(config), address, witness).await.map_err(|error| {
        let refused = verdict.lock().unwrap_or_else(PoisonError::into_inner).take();
        refused.unwrap_or_else(|| {
            unavailable(format!("can't reach the server `{}`: {error}", options.server()))
        })
    })
}

/// What was tried to log in, for a message.
#[derive(Default)]
struct Tried {
    what: Vec<String>,
    left: Option<MethodSet>,
}

impl Tried {
    /// Notes an attempt; whether it was successful.
    fn note(&mut self, what: String, result: AuthResult) -> bool {
        match result {
            AuthResult::Success => true,
            AuthResult::Failure { remaining_methods, .. } => {
                self.what.push(what);
                self.left = Some(remaining_methods);
                false
            }
        }
    }

    fn refused(self, options: &Options) -> Fault {
        let Options { user, .. } = options;
        let tried = if self.what.is_empty() {
            "no key and no password were found to try".to_owned()
        } else {
            format!("tried {}", self.what.join(", "))
        };
        let left = self.left.map(|left| {
            let names: Vec<&str> = left.iter().map(Into::into).collect();
            format!("; it takes {}", names.join(", "))
        });
        unavailable(format!(
            "the server `{}` refuses the login of `{user}`: {tried}{}. Give the right \
             `private_key` or `password`, or add the key to `~/.ssh/authorized_keys` there",
            options.server(),
            left.unwrap_or_default(),
        ))
    }
}

/// Tries the key that is configured; without one, those of the agent and of the user; then the
/// password.
async fn login(connection: &mut Connection, options: &Options) -> Result<(), Fault> {
    let mut tried = Tried::default();
    let ended = |error: russh::Error| {
        unavailable(format!("the server `{}` ended the login: {error}", options.server()))
    };
    if let Some(file) = &options.private_key {
        let key = load(file.clone(), options).await?;
        let result = with_key(connection, options, key).await.map_err(ended)?;
        if tried.note(format!("the key `{}`", file.display()), result) {
            return Ok(());
        }
    } else {
        if with_agent(connection, options, &mut tried).await.map_err(ended)? {
            return Ok(());
        }
        for file in own_keys() {
            // A key that is encrypted is ssh-agent's business.
            let Ok(key) = load(file.clone(), options).await else { continue };
            let result = with_key(connection, options, key).await.map_err(ended)?;
            if tried.note(format!("the key `{}`", file.display()), result) {
                return Ok(());
            }
        }
    }
    if options.password.is_some()
        && with_password(connection, options, &mut tried).await.map_err(ended)?
    {
        return Ok(());
    }
    Err(tried.refused(options))
}

fn own_keys() -> Vec<PathBuf> {
    let home = std::env::home_dir().unwrap_or_default();
    KEYS.iter().map(|name| home.join(".ssh").join(name)).filter(|file| file.is_file()).collect()
}

async fn load(file: PathBuf, options: &Options) -> Result<PrivateKey, Fault> {
    let password = options.password.clone();
    let loaded = spawn_blocking(move || {
        let password = password.as_ref().map(crate::options::Secret::reveal);
        read_key(&file, password)
    });
    loaded.await.map_err(|_| lost("a call"))?
}

fn read_key(file: &Path, password: Option<&str>) -> Result<PrivateKey, Fault> {
    use russh::keys::Error;
    let told = |why: String| unavailable(format!("can't use the key `{}`: {why}", file.display()));
    match load_secret_key(file, None) {
        Ok(key) => Ok(key),
        // A password that is for the login isn't for a key that has none.
        Err(Error::KeyIsEncrypted) if password.is_some() => load_secret_key(file, password)
            .map_err(|error| told(format!("`password` doesn't open it ({error})"))),
        Err(error @ Error::KeyIsEncrypted) => Err(told(format!(
            "{error}: give its password as `password`, or add it to ssh-agent and leave out \
             `private_key`"
        ))),
        Err(error @ Error::IO(_)) => Err(told(error.to_string())),
        Err(error) => Err(told(format!("{error}: is it the private one, and not `….pub`?"))),
    }
}

/// How an RSA key signs: the old way is refused by most servers.
async fn hash(connection: &Connection, of: &Algorithm) -> Result<Option<HashAlg>, russh::Error> {
    match of {
        Algorithm::Rsa { .. } => Ok(connection.best_supported_rsa_hash().await?.flatten()),
        _ => Ok(None),
    }
}

async fn with_key(
    connection: &mut Connection,
    options: &Options,
    key: PrivateKey,
) -> Result<AuthResult, russh::Error> {
    let hash = hash(connection, &key.algorithm()).await?;
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
    connection.authenticate_publickey(&options.user, key).await
}

async fn with_agent(
    connection: &mut Connection,
    options: &Options,
    tried: &mut Tried,
) -> Result<bool, russh::Error> {
    let Ok(mut agent) = AgentClient::connect_env().await else { return Ok(false) };
    let identities = agent.request_identities().await.unwrap_or_default();
    for identity in identities.into_iter().take(IDENTITIES_MAX) {
        let AgentIdentity::PublicKey { key, comment } = identity else { continue };
        let hash = hash(connection, &key.algorithm()).await?;
        let user = &options.user;
        let signed = connection.authenticate_publickey_with(user, key, hash, &mut agent).await;
        let Ok(result) = signed else { continue };
        if tried.note(format!("the agent's key `{comment}`"), result) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn with_password(
    connection: &mut Connection,
    options: &Options,
    tried: &mut Tried,
) -> Result<bool, russh::Error> {
    let Some(password) = &options.password else { return Ok(false) };
    let result = connection.authenticate_password(&options.user, password.reveal()).await?;
    if tried.note("the password".to_owned(), result) {
        return Ok(true);
    }
    // Some servers ask for the password instead of taking it.
    let mut asked =
        connection.authenticate_keyboard_interactive_start(&options.user, None::<String>).await?;
    for _ in 0..8 {
        asked = match asked {
            KeyboardInteractiveAuthResponse::Success => return Ok(true),
            KeyboardInteractiveAuthResponse::Failure { .. } => return Ok(false),
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                let answers = prompts.iter().map(|_| password.reveal().to_owned()).collect();
                connection.authenticate_keyboard_interactive_respond(answers).await?
            }
        };
    }
    Ok(false)
}
