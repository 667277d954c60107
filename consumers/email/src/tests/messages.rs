//! What messages look like, and who they go to.

use super::*;

#[tokio::test]
async fn people_who_read_differently_get_messages_of_their_own() {
    let mut rig = rig(AGREES).await;
    let user = |email: &str, language: Option<&str>, active| SystemUser {
        name: "Someone".into(),
        email: email.into(),
        language: language.map(Into::into),
        time_zone: None,
        active,
    };
    let (ann, bob, away) = (SystemUserId(fresh()), SystemUserId(fresh()), SystemUserId(fresh()));
    rig.fixed.users = HashMap::from([
        (ann, user("ann@example.org", Some("de-CH"), true)),
        (bob, user("bob@example.org", Some("fr"), true)),
        (away, user("away@example.org", None, false)),
    ]);
    let action = EmailAction {
        smtp_account: rig.fixed.account.lock().unwrap().id,
        template: NotificationTemplateId(fresh()),
        to: vec![To::User(ann), To::User(bob), To::User(away)],
        cc: vec![To::Parameter("contact.email".into())],
        bcc: vec![To::Address("archive@example.org".into())],
        attach_event: true,
    };
    rig.fixed.private = Parameters::from([("contact.email".to_owned(), "cy@example.org".into())]);
    let channel = registered(rig.fixed.clone(), Client::new(&settings()).unwrap());
    let attempt = task_of(action);
    let sent = channel.attempt(&attempt).await;
    assert!(matches!(sent, Outcome::Delivered(_)), "{sent:?}");
    let messages = rig.server.seen.lock().unwrap().messages.clone();
    assert_eq!(messages.len(), 3, "one in German, one for the French, one for those whose language is not known");
    assert!(messages[0].contains("Guten Tag, Acme") && messages[0].contains("To: Someone <ann@example.org>"), "{}", messages[0]);
    assert!(messages[1].contains("To: Someone <bob@example.org>") && messages[1].contains("Dear Acme"), "{}", messages[1]);
    assert!(messages[2].contains("Cc: cy@example.org") && !messages[2].contains("archive@"), "{}", messages[2]);
    let of = |message: &str| message.lines().find(|line| line.starts_with("Message-ID")).map(str::to_owned);
    assert!(of(&messages[0]) != of(&messages[1]) && of(&messages[1]) != of(&messages[2]));
    for message in &messages {
        assert!(message.contains("In-Reply-To: <account.0198c0de000070008000000000000001@acme.example>"), "{message}");
        assert!(message.contains("filename=\"event.json\""), "{message}");
    }
}

#[tokio::test]
async fn nobody_to_write_to_is_told() {
    let rig = rig(AGREES).await;
    let account = rig.fixed.account.lock().unwrap().id;
    rig.fixed.suppressed.lock().unwrap().extend(["ann@example.org".to_owned(), "bob@example.org".to_owned()]);
    let Outcome::GiveUp(report) = rig.channel.attempt(&rig.attempt).await else { panic!("should be final") };
    assert!(report.detail.contains("suppression list"), "{}", report.detail);

    let action = EmailAction {
        smtp_account: account,
        template: NotificationTemplateId(fresh()),
        to: vec![To::Parameter("contact.email".into())],
        cc: vec![],
        bcc: vec![],
        attach_event: false,
    };
    let Outcome::GiveUp(report) = rig.channel.attempt(&task_of(action)).await else { panic!("should be final") };
    assert_eq!(report.detail, "there is no recipient: 'contact.email' is absent");
    assert_eq!(rig.server.seen.lock().unwrap().connections, 0);
}

#[tokio::test]
async fn what_is_for_email_alone_is_merged_in_when_a_message_is_made() {
    let Rig { fixed, attempt, server, .. } = rig(AGREES).await;
    assert!(!String::from_utf8_lossy(&attempt.event.body).contains("contact."), "the event itself does not carry it");
    let parts = Template { subject: "News".into(), text: "Dear {{ contact.name }} of {{ account.name }}".into(), html: None };
    let template = Translated { parts, ..template() };
    let private = Parameters::from([("contact.name".to_owned(), "Ann".into())]);
    let channel = registered(Fixed { template: Some(Arc::new(template)), private, ..fixed }, Client::new(&settings()).unwrap());
    assert!(matches!(channel.attempt(&attempt).await, Outcome::Delivered(_)));
    let sent = server.seen.lock().unwrap().messages.concat();
    assert!(sent.contains("Dear Ann of Acme"), "{sent}");
}

#[test]
fn no_line_is_longer_than_a_server_must_accept() {
    let word = "x".repeat(2_000);
    let long = "y".repeat(200);
    let person = |n: usize, name: &str| Addressee {
        address: format!("someone.with.a.name.of.their.own.{n}@mail.department.of.an.example.org"),
        name: Some(name.to_owned()),
        role: if n.is_multiple_of(3) { Role::Cc } else { Role::To },
        reading: Reading::default(),
    };
    let people: Vec<Addressee> = (0..150).map(|n| person(n, ["Ann O'Brien", &long, &"ü".repeat(200), "Ann (Sales)"][n % 4])).collect();
    let account =
        SmtpAccount { from_name: "ö".repeat(200), from_address: format!("{}@{}.example", "a".repeat(64), "b".repeat(63)), ..account(25) };
    let identity = Identity {
        local_id: "id".to_owned(),
        thread: Some("t".to_owned()),
        date: billwire_schemas::clock::Timestamp::UNIX_EPOCH,
        boundary: "b".to_owned(),
    };
    for subject in [word.clone(), format!("Rechnung für {word}"), "ü".repeat(2_000), "many words ".repeat(300)] {
        let rendered = Rendered { subject: subject.clone(), text: word.clone(), html: Some(word.clone()) };
        let attached = Some(("event.json".to_owned(), word.clone().into_bytes()));
        let content = request::compose(&identity, &account, &people, rendered, attached).unwrap();
        let message = String::from_utf8(content.whole).unwrap();
        let longest = message.split("\r\n").map(str::len).max().unwrap();
        assert!(longest <= 998, "{longest}");
        assert!(message.is_ascii() && content.ascii.is_none());
        let (head, _) = message.split_once("\r\n\r\n").unwrap();
        let unfolded = head.replace("\r\n ", " ");
        let to = unfolded.lines().find(|line| line.starts_with("To: ")).unwrap();
        assert_eq!(to.matches('@').count(), 100, "each of them is named");
    }
}

#[test]
fn no_header_can_be_smuggled_in() {
    let honest = account(25);
    assert!(envelope(&honest, "Acme", "ann@example.org").is_ok());
    assert!(envelope(&honest, "Acme\r\nBcc: all@example.org", "ann@example.org").is_err());
    for evil in ["ann@example.org\r\nBcc: all@example.org", "ann@example.org, all@example.org", "Ann <ann@example.org>", "ann", ""] {
        assert!(envelope(&honest, "Acme", evil).is_err(), "{evil:?}");
    }
    let sly = SmtpAccount { from_name: "Acme\r\nBcc: all@example.org".to_owned(), ..account(25) };
    assert!(envelope(&sly, "Acme", "ann@example.org").is_err());
    let quoted = SmtpAccount { from_name: "Acme\" <all@example.org>, \"".to_owned(), ..account(25) };
    let message = envelope(&quoted, "Acme", "ann@example.org").unwrap();
    assert_eq!(message.from.to_string(), "billing@acme.example");
    let text = String::from_utf8(message.content.whole).unwrap();
    let from = text.lines().next().unwrap();
    assert!(from.starts_with("From: ") && from.ends_with(" <billing@acme.example>") && !from.contains("all@"), "{from}");
}

/// A message to one person, about an account of this name.
pub fn envelope(account: &SmtpAccount, name: &str, to: &str) -> Result<crate::client::Envelope, request::Unsendable> {
    let (event, reading) = (event(json!({ "account.name": name })), Reading::default());
    let parameters = Parameters::from([("account.name".to_owned(), name.into())]);
    let identity = Identity::of(&event, SubscriptionId(fresh()), &parameters, &reading)?;
    let people = [Addressee { address: to.to_owned(), name: Some(format!("{name}\r\nBcc: x@example.org")), role: Role::To, reading }];
    let rendered = request::rendering(&template(), &parameters, &people[0].reading, Tz::UTC).run(|_| ())?;
    let content = request::compose(&identity, account, &people, rendered, None)?;
    request::envelope(account, &[&people[0]], content)
}
