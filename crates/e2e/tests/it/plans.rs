//! A plans file is taken whole or not at all, and every fault is named with its line.

use rolecall_e2e::{stack::Stack, until::until};
use rolecall_sandbox::discord::demo;

use crate::support::{SOON, stack};

/// Applies a file; its exit code and what it said on standard error.
async fn apply(stack: &Stack, text: &str) -> (Option<i32>, String) {
    let path = stack.folder().join("wrong.toml");
    std::fs::write(&path, text).unwrap();
    let output = stack
        .run(&["plans", "apply", &path.to_string_lossy()])
        .await
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn file(role: u64, price: &str) -> String {
    let guild = demo::GUILD;
    format!(
        "[[plan]]\nslug = \"other\"\nname = \"Other\"\nkind = \"individual\"\nprices = [\"{price}\"]\n\
         [[plan.role]]\nguild = \"{guild}\"\nrole = \"{role}\"\n"
    )
}

#[tokio::test]
async fn roles_and_prices_that_cannot_work_are_refused_by_line_and_nothing_is_applied() {
    let stack = stack("wrong_plans").await;
    let before = stack.rolecall(&["plans", "show"]).await.unwrap();
    let good = "price_council_monthly";
    for (text, line, words) in [
        (file(4242, good), 8, "does not exist in this server"),
        (file(demo::BOT_ROLE, good), 8, "is managed by an integration"),
        (
            file(demo::COUNCIL_ROLE, "price_unknown"),
            5,
            "Stripe has no such price",
        ),
        (
            file(demo::COUNCIL_ROLE, good).replace("individual", "group"),
            4,
            "expected \"individual\" or \"company\"",
        ),
    ] {
        let (code, said) = apply(&stack, &text).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(
            said.contains(&format!("wrong.toml:{line}: ")) && said.contains(words),
            "{words}: {said}"
        );
    }
    assert_eq!(
        stack.rolecall(&["plans", "show"]).await.unwrap(),
        before,
        "half of a file was applied"
    );
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_role_above_the_bot_is_refused_as_soon_as_the_bot_has_seen_it() {
    let stack = stack("plans_order").await;
    stack.discord.move_role(demo::GUILD, demo::BOT_ROLE, 1).unwrap();
    let said = until("the new order of roles", SOON, async || {
        let (code, said) = apply(&stack, &file(demo::COUNCIL_ROLE, "price_council_monthly")).await;
        Ok((code == Some(1)).then_some(said))
    });
    let said = said.await.unwrap();
    assert!(
        said.contains("wrong.toml:8: ") && said.contains("is not below the bot's highest role"),
        "{said}"
    );
    assert!(said.contains("drag the bot's role above Council"), "{said}");
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_price_that_is_no_longer_sold_stays_in_the_file_for_those_who_pay_it() {
    let stack = stack("old_price").await;
    stack.stripe.archive_price("price_council_monthly", true).unwrap();
    let shown = stack.rolecall(&["plans", "show"]).await.unwrap();
    let text = shown["file"].as_str().unwrap();
    let path = stack.folder().join("renamed.toml");
    std::fs::write(
        &path,
        text.replace("name = \"Council member\"", "name = \"Founding member\""),
    )
    .unwrap();
    let answer = stack
        .rolecall(&["plans", "apply", &path.to_string_lossy()])
        .await
        .unwrap();
    assert_eq!(answer["applied"], true, "{answer}");
    let warnings = answer["warnings"].to_string();
    assert!(
        warnings.contains("price_council_monthly") && warnings.contains("keeps the plan"),
        "{warnings}"
    );
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn the_same_file_again_changes_nothing_and_what_is_shown_can_be_applied() {
    let stack = stack("same_plans").await;
    let shown = stack.rolecall(&["plans", "show"]).await.unwrap();
    let path = stack.folder().join("shown.toml");
    std::fs::write(&path, shown["file"].as_str().unwrap()).unwrap();
    let again = stack
        .rolecall(&["plans", "apply", &path.to_string_lossy()])
        .await
        .unwrap();
    assert_eq!(
        (
            again["applied"].as_bool(),
            again["changes"].as_array().map(Vec::len)
        ),
        (Some(false), Some(0)),
        "{again}"
    );
    stack.stop().await.unwrap();
}
