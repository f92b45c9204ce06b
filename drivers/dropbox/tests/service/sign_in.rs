//! Tokens: refreshed, revoked, unreadable, and readable by too many.

use super::*;

#[tokio::test]
async fn an_expired_token_is_refreshed_and_a_revoked_one_is_told_with_the_remedy() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    fixture.server.account().tokens.expire();
    place(&plug, "a", b"bytes").await.expect("it is refreshed on the way");
    assert_eq!(read(&plug, "a").await.expect("it is there"), b"bytes");
    assert_eq!(count(&fixture, "oauth2/token"), 1);
    fixture.server.account().tokens.revoke();
    let fault = plug.check().await.expect_err("nobody may call");
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(fault.message.contains("onitu auth dropbox"), "{fault}");
    let fault = plug.look(&at("b")).await.expect_err("unknown is not absent");
    assert_eq!(fault.kind, FaultKind::Unavailable);
}

#[tokio::test]
async fn tokens_that_cant_be_read_are_told_and_not_shown() {
    let fixture = Fixture::new();
    for text in ["{ \"refresh_token\": secret", "{}"] {
        fixture.keep_tokens(text);
        let fault = fixture.connect(false).await.map(drop).expect_err("there is no token");
        assert_eq!(fault.kind, FaultKind::Unavailable);
        assert!(fault.message.contains("token.json") && !fault.message.contains("secret"));
    }
}

#[tokio::test]
async fn tokens_that_others_may_read_are_refused_with_the_remedy() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new();
    let file = fixture.home.path().join("token.json");
    for mode in [0o644, 0o640, 0o602] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("set");
        let fault = fixture.connect(false).await.map(drop).expect_err("others may read it");
        assert_eq!(fault.kind, FaultKind::Unavailable);
        assert!(fault.message.contains(&format!("its mode is {mode:03o}")), "{fault}");
        assert!(fault.message.contains("chmod 600"), "{fault}");
        assert!(!fault.message.contains(onitu_test_dropbox::ACCESS), "{fault}");
    }
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("set");
    fixture.connect(false).await.map(drop).expect("its owner alone may");
}
