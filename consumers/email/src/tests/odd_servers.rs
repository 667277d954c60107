//! Servers that are old, odd, or serve some recipients only.

use super::*;

const SMTPUTF8: &str = "250-scripted\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN";

#[tokio::test]
async fn a_recipient_whom_the_server_cannot_carry_fails_alone_and_at_once() {
    use RecipientState::{Refused, Sent};
    let mut rig = rig(AGREES).await;
    rig.attempt = attempt(rig.fixed.account.lock().unwrap().id, &["ann@example.org", "dörte@example.org", "bob@bücher.example"]);
    let outcome = rig.channel.attempt(&rig.attempt).await;
    assert_eq!(
        states(&outcome),
        [("ann@example.org", Sent, None), ("dörte@example.org", Refused, None), ("bob@bücher.example", Sent, None)]
    );
    let Outcome::GiveUp(report) = outcome else { panic!("no blame on the account: {outcome:?}") };
    assert_eq!(report.detail, "dörte@example.org: the address is not ASCII, and the server does not offer SMTPUTF8");
    let commands = rig.server.commands();
    assert!(commands.contains(&"MAIL FROM:<billing@acme.example>".to_owned()), "{commands:?}");
    assert!(commands.contains(&"RCPT TO:<bob@xn--bcher-kva.example>".to_owned()), "{commands:?}");
    let message = rig.server.seen.lock().unwrap().messages[0].clone();
    assert!(message.is_ascii() && message.contains("bob@xn--bcher-kva.example"), "{message}");
    assert!(rig.fixed.suppressed.lock().unwrap().is_empty());

    rig.attempt = attempt(rig.fixed.account.lock().unwrap().id, &["dörte@example.org"]);
    let alone = rig.channel.attempt(&rig.attempt).await;
    assert!(matches!(&alone, Outcome::GiveUp(report) if report.recipients.len() == 1), "{alone:?}");
    assert_eq!(rig.server.seen.lock().unwrap().messages.len(), 1);
}

#[tokio::test]
async fn a_server_with_smtputf8_gets_every_address_as_it_is() {
    let mut rig = rig(Script { offers: SMTPUTF8, ..AGREES }).await;
    rig.attempt = attempt(rig.fixed.account.lock().unwrap().id, &["o'brien@example.org", "dörte@example.org"]);
    let outcome = rig.channel.attempt(&rig.attempt).await;
    assert!(matches!(outcome, Outcome::Delivered(_)), "{outcome:?}");
    let commands = rig.server.commands();
    assert!(commands.contains(&"MAIL FROM:<billing@acme.example> SMTPUTF8 BODY=8BITMIME".to_owned()), "{commands:?}");
    assert!(commands.contains(&"RCPT TO:<dörte@example.org>".to_owned()), "{commands:?}");
    assert!(commands.contains(&"RCPT TO:<o'brien@example.org>".to_owned()), "{commands:?}");
    let message = rig.server.seen.lock().unwrap().messages[0].clone();
    assert!(message.contains("To: o'brien@example.org, dörte@example.org"), "{message}");
}

#[tokio::test]
async fn a_sender_whom_the_server_cannot_carry_is_the_accounts_fault() {
    let rig = rig(AGREES).await;
    rig.fixed.account.lock().unwrap().from_address = "rechnung@bücher.example".to_owned();
    assert!(matches!(rig.channel.attempt(&rig.attempt).await, Outcome::Delivered(_)), "a domain has a form in ASCII");
    rig.fixed.account.lock().unwrap().from_address = "grüße@acme.example".to_owned();
    let outcome = rig.channel.attempt(&rig.attempt).await;
    assert!(retried(&outcome).contains("the sender's address is not ASCII"), "{outcome:?}");
    assert!(matches!(outcome, Outcome::Retry { failure_scope: FailureScope::Target, .. }));
}

/// A rig whose recipients read in German and in English.
async fn of_two_languages(script: Script) -> Rig {
    let mut rig = rig(script).await;
    let user = |email: &str, language: &str| SystemUser {
        name: "Someone".into(),
        email: email.into(),
        language: Some(language.into()),
        time_zone: None,
        active: true,
    };
    let (ann, bob) = (SystemUserId(fresh()), SystemUserId(fresh()));
    rig.fixed.users = HashMap::from([(ann, user("ann@example.org", "de")), (bob, user("bob@example.org", "en"))]);
    rig.channel = registered(rig.fixed.clone(), Client::new(&settings()).unwrap());
    rig.attempt = task_of(EmailAction {
        smtp_account: rig.fixed.account.lock().unwrap().id,
        template: NotificationTemplateId(fresh()),
        to: vec![To::User(ann), To::User(bob)],
        cc: vec![],
        bcc: vec![],
        attach_event: false,
    });
    rig
}

#[tokio::test]
async fn a_text_that_the_server_refuses_does_not_stop_those_in_other_languages() {
    use RecipientState::{Deferred, Refused, Sent};
    for (said, state) in [("554 5.7.1 spam", Refused), ("451 4.7.1 greylisted", Deferred)] {
        let rig = of_two_languages(Script { unwanted: Some(("Guten Tag", said)), ..AGREES }).await;
        let outcome = rig.channel.attempt(&rig.attempt).await;
        let code = said[..3].parse().ok();
        assert_eq!(states(&outcome), [("ann@example.org", state, code), ("bob@example.org", Sent, None)]);
        let given_up = matches!(&outcome, Outcome::GiveUp(report) if report.detail == format!("sending: {said}"));
        let retried = matches!(&outcome, Outcome::Retry { failure_scope: FailureScope::Delivery, .. });
        assert_eq!((given_up, retried), (state == Refused, state == Deferred), "{outcome:?}");
    }
    let rig = of_two_languages(Script { unwanted: Some(("Guten Tag", "421 4.3.2 closing")), ..AGREES }).await;
    let outcome = rig.channel.attempt(&rig.attempt).await;
    assert_eq!(states(&outcome), [("ann@example.org", Deferred, Some(421))], "the server wants to be left alone");
}

#[tokio::test]
async fn a_text_that_cannot_be_rendered_does_not_stop_those_in_other_languages() {
    use RecipientState::{Refused, Sent};
    let mut rig = of_two_languages(AGREES).await;
    let broken = Template { subject: "Neu".to_owned(), text: "{{ account.name / 0 }}".to_owned(), html: None };
    let translations = BTreeMap::from([("de".to_owned(), broken)]);
    rig.fixed.template = Some(Arc::new(Translated { translations, ..template() }));
    rig.channel = registered(rig.fixed.clone(), Client::new(&settings()).unwrap());
    let outcome = rig.channel.attempt(&rig.attempt).await;
    assert_eq!(states(&outcome), [("ann@example.org", Refused, None), ("bob@example.org", Sent, None)]);
    assert!(matches!(&outcome, Outcome::GiveUp(report) if report.detail.contains("cannot be rendered")), "{outcome:?}");
}

#[tokio::test]
async fn a_server_that_takes_few_recipients_at_a_time_gets_more_messages() {
    let mut rig = rig(Script { recipients_max: 2, ..AGREES }).await;
    let people: Vec<String> = (0..5).map(|n| format!("p{n}@example.org")).collect();
    rig.attempt = attempt(rig.fixed.account.lock().unwrap().id, &people.iter().map(String::as_str).collect::<Vec<_>>());
    let outcome = rig.channel.attempt(&rig.attempt).await;
    assert!(matches!(&outcome, Outcome::Delivered(report) if report.recipients.len() == 5), "{outcome:?}");
    assert_eq!(rig.server.seen.lock().unwrap().messages.len(), 3);

    let mut none = self::rig(Script { recipients_max: 0, ..AGREES }).await;
    none.attempt = attempt(none.fixed.account.lock().unwrap().id, &["ann@example.org"]);
    let outcome = none.channel.attempt(&none.attempt).await;
    assert_eq!(retried(&outcome), "ann@example.org: 552 too many recipients");
}

#[tokio::test]
async fn replies_without_text_and_in_other_forms_are_replies() {
    let terse = Script {
        greeting: "220",
        offers: "250-\r\n250-AUTH=LOGIN PLAIN\r\n250",
        login: "235",
        sender: "250",
        recipients: &[("ann@", "251"), ("bob@", "252-\r\n252")],
        message: Some("250"),
        ..AGREES
    };
    let lenient = Script { greeting: "220-one\r\n two\r\n220 three", sender: "\r\n250 ok", message: Some("250-x\r\n299 done"), ..AGREES };
    for script in [terse, lenient] {
        let rig = rig(script).await;
        for _ in 0..2 {
            let outcome = rig.channel.attempt(&rig.attempt).await;
            assert!(matches!(outcome, Outcome::Delivered(_)), "{outcome:?}");
        }
    }
    let refusing = rig(Script { message: Some("554"), ..AGREES }).await;
    let outcome = refusing.channel.attempt(&refusing.attempt).await;
    assert!(matches!(&outcome, Outcome::GiveUp(report) if report.status == Some(554)), "{outcome:?}");
}

#[tokio::test]
async fn a_server_from_before_ehlo_is_greeted_with_helo() {
    let rig = rig(Script { offers: "500 unknown command", ..AGREES }).await;
    {
        let mut account = rig.fixed.account.lock().unwrap();
        (account.username, account.password) = (None, None);
    }
    let outcome = rig.channel.attempt(&rig.attempt).await;
    assert!(matches!(outcome, Outcome::Delivered(_)), "{outcome:?}");
    let commands = rig.server.commands();
    assert!(commands[0].starts_with("EHLO ") && commands[1].starts_with("HELO "), "{commands:?}");
}

#[tokio::test]
async fn a_reply_that_nobody_asked_for_is_never_taken_for_the_reply_to_the_next_command() {
    let rig = rig(Script { sender: "250 ok\r\n250 ok\r\n354 go on\r\n250 queued", ..AGREES }).await;
    let outcome = rig.channel.attempt(&rig.attempt).await;
    assert!(retried(&outcome).contains("did not speak SMTP"), "{outcome:?}");
    assert_eq!(rig.server.seen.lock().unwrap().messages.len(), 0);
}

#[tokio::test]
async fn a_connection_that_is_no_longer_used_is_ended_with_quit() {
    let rig = rig(AGREES).await;
    rig.channel.attempt(&rig.attempt).await;
    rig.fixed.account.lock().unwrap().version = 2;
    rig.channel.attempt(&rig.attempt).await;
    let quit = async {
        while !rig.server.commands().iter().any(|said| said == "QUIT") {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), quit).await.expect("the old connection is ended");
}
