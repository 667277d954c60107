//! What a client is made with.

use super::*;

#[test]
fn a_file_of_roots_that_is_none_is_named() {
    let path = std::env::temp_dir().join(format!("billwire-roots-{}", fresh()));
    let settings = Settings { ca_file: Some(path.clone()), ..Settings::default() };
    assert!(Client::new(&settings).unwrap_err().to_string().contains("billwire-roots-"));
    std::fs::write(&path, "not a certificate").unwrap();
    assert!(Client::new(&settings).unwrap_err().to_string().contains("not certificates"));
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn what_we_cannot_look_up_costs_no_try_and_what_is_gone_is_given_up() {
    let Rig { fixed, channel, attempt, server } = rig(AGREES).await;
    let client = || Client::new(&settings()).unwrap();
    let away = registered(Fixed { away: true, ..fixed.clone() }, client());
    assert!(matches!(away.attempt(&attempt).await, Outcome::NotAttempted(_)));
    let bare = registered(Fixed { template: None, ..fixed.clone() }, client());
    assert!(matches!(bare.attempt(&attempt).await, Outcome::GiveUp(_)));
    fixed.account.lock().unwrap().id = SmtpAccountId(fresh());
    assert!(matches!(channel.attempt(&attempt).await, Outcome::GiveUp(_)));
    assert_eq!(server.seen.lock().unwrap().connections, 0);
}
