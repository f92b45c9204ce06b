use tokio::net::UnixListener;

use super::*;

#[test]
fn a_url_survives_any_directory() {
    assert_eq!(url(Path::new("/run/onitu-1")), "redis+unix:///run/onitu-1/redis.sock");
    assert_eq!(url(Path::new("/a b/?é")), "redis+unix:///a%20b/%3F%C3%A9/redis.sock");
}

#[tokio::test]
async fn a_server_that_loads_is_waited_for() {
    let place = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(place.path().join(SOCKET)).unwrap();
    let server = tokio::spawn(async move {
        for answer in ["-LOADING Redis is loading the dataset in memory\r\n", "+PONG\r\n"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 6];
            stream.read_exact(&mut asked).await.unwrap();
            assert_eq!(&asked, b"PING\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    timeout(Duration::from_secs(10), ready(place.path())).await.unwrap();
    server.await.unwrap();
}
