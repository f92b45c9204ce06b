//! Logging in by password. OpenSSH asks the system for passwords, and a test can't give its user
//! one; so the SSH here is that of `russh`'s server, and the SFTP behind it OpenSSH's program.

mod fixture;

use std::process::Stdio;
use std::sync::Arc;

use fixture::connect;
use onitu_plug::{FaultKind, Path, Plug};
use onitu_test_sshd::Sshd;
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, run_stream};
use russh::{Channel, ChannelId, MethodKind, MethodSet};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;
use tokio::process::Command;

const PASSWORD: &str = "open sesame";

/// How the server wants the password.
#[derive(Clone, Copy)]
enum Way {
    Told,
    Asked,
}

/// One connection.
struct Visitor {
    way: Way,
    channels: Vec<Channel<Msg>>,
}

impl Handler for Visitor {
    type Error = russh::Error;

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, Self::Error> {
        let is_right = matches!(self.way, Way::Told) && password == PASSWORD;
        Ok(if is_right { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<russh::server::Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        if matches!(self.way, Way::Told) {
            return Ok(Auth::reject());
        }
        let Some(mut response) = response else {
            return Ok(Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: vec![("Password: ".into(), false)].into(),
            });
        };
        let is_right = response.next().is_some_and(|it| &it[..] == PASSWORD.as_bytes());
        Ok(if is_right { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.push(channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        assert_eq!(name, "sftp");
        let at = self.channels.iter().position(|it| it.id() == channel).expect("opened");
        let mut stream = self.channels.remove(at).into_stream();
        let program = ["/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server"];
        let program = program.iter().find(|it| std::path::Path::new(it).exists());
        let child = Command::new(program.expect("OpenSSH's sftp-server"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        tokio::spawn(async move {
            // All of it, or it would end with this call.
            let mut child = child;
            let (input, output) = (child.stdin.take(), child.stdout.take());
            let (input, output) = (input.expect("piped"), output.expect("piped"));
            let mut both = tokio::io::join(output, input);
            let _ = copy_bidirectional(&mut stream, &mut both).await;
        });
        session.channel_success(channel)
    }
}

/// A server that wants the password in this way, and the options of a service on it.
async fn server(way: Way, root: &std::path::Path) -> (Sshd, Value) {
    let keys = Sshd::start();
    let host_key = russh::keys::load_secret_key(keys.host_key(), None).expect("a key");
    let config = Arc::new(Config {
        keys: vec![host_key],
        methods: MethodSet::from(&[MethodKind::Password, MethodKind::KeyboardInteractive][..]),
        auth_rejection_time: std::time::Duration::from_millis(1),
        ..Config::default()
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("the port").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let visitor = Visitor { way, channels: Vec::new() };
            let config = Arc::clone(&config);
            tokio::spawn(async move {
                if let Ok(session) = run_stream(config, stream, visitor).await {
                    let _ = session.await;
                }
            });
        }
    });
    let known = std::fs::read_to_string(keys.known_hosts()).expect("the host key");
    let known = known.replace(&format!(":{} ", keys.port()), &format!(":{port} "));
    std::fs::write(keys.known_hosts(), known).expect("written");
    let mut options = keys.options(root);
    options["port"] = json!(port);
    options["password"] = json!(PASSWORD);
    // No key of this user's is to be tried.
    options["private_key"] = json!(keys.private_key());
    (keys, options)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_password_lets_in_told_or_asked_for() {
    for way in [Way::Told, Way::Asked] {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::write(root.path().join("file"), "bytes").expect("written");
        let (_keys, options) = server(way, root.path()).await;
        let plug = connect(options).await.expect("connected");
        let path = Path::new("file").expect("a path");
        assert_eq!(plug.look(&path).await.expect("a look").expect("a file").content.size, 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused_and_not_repeated_to_anybody() {
    for way in [Way::Told, Way::Asked] {
        let root = tempfile::tempdir().expect("a folder");
        let (_keys, mut options) = server(way, root.path()).await;
        options["password"] = json!("open barley");
        let fault = connect(options).await.err().expect("refused");
        assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
        assert!(fault.message.contains("refuses the login"), "{fault}");
        assert!(fault.message.contains("the password"), "{fault}");
        assert!(!fault.message.contains("barley"), "{fault}");
    }
}
