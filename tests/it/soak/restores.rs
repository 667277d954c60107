//! One database is restored to an older moment again and again, and recovered each time, in both ways and by runs that are killed.

use billwire_tests::gateway::Database;

use super::{Dice, length, pace};
use crate::drills::{
    Scene,
    recover::{agrees_with, left_out, recover, recover_killed},
    restore::{Backup, refuses, work},
};

async fn restored_again_and_again(database: Database) {
    let rounds = length("RESTORES", 2);
    let (mut scene, mut gateway) = Scene::new("restores", database).await;
    pace(&mut scene);
    let mut dice = Dice::new();
    for round in 0..rounds {
        work(&mut scene).await;
        assert!(gateway.stop().await.success());
        let backup = Backup::of(&scene.setup);
        let later = scene.setup.start().await;
        work(&mut scene).await;
        assert!(later.stop().await.success());
        backup.restore(&mut scene.setup);
        let refusing = scene.setup.start().await.leaving("the database is an older one");
        refuses(&scene).await;
        assert!(refusing.stop().await.success());
        let (how, killed) = (if round % 2 == 0 { "--take-back" } else { "--new-epoch" }, dice.roll(2) == 0);
        match killed {
            false => recover(&scene.setup, &[how]),
            true => recover_killed(&scene.setup, &[how]).await,
        };
        println!("round {round} on {database:?}: restored, and recovered by {how}{}", if killed { ", killed" } else { "" });
        gateway = scene.setup.start().await;
    }
    work(&mut scene).await;
    agrees_with(&scene, &left_out(&scene.setup)).await;
    assert!(gateway.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_restored_again_and_again_is_recovered_each_time_on_sqlite() {
    restored_again_and_again(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_restored_again_and_again_is_recovered_each_time_on_postgres() {
    restored_again_and_again(Database::Postgres).await;
}
