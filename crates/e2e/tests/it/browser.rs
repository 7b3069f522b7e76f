//! The story clicked through in a real browser, at phone and desktop size, with pictures in
//! `target/e2e/<size>/`.

use std::{path::PathBuf, process::Stdio, time::Duration};

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rolecall_e2e::{
    ports::free_port,
    stack::Stack,
    story::{ADA, subscription},
    until::until,
};
use rolecall_sandbox::discord::demo;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::{SOON, stack, wait_for_why};

/// A browser of its own, with a profile that is thrown away.
struct Browser {
    client: Client,
    pictures: PathBuf,
    taken: usize,
    _driver: Child,
    _profile: TempDir,
}

impl Browser {
    async fn open(stack: &Stack, width: u32, height: u32) -> Self {
        let port = free_port(None).unwrap();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver, which Debian's package chromium-driver has");
        let profile = TempDir::new().unwrap();
        let arguments = [
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
            format!("--window-size={width},{height}"),
        ];
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments, "mobileEmulation": {
                "deviceMetrics": { "width": width, "height": height, "pixelRatio": 1.0, "touch": false }
            }},
        });
        let capabilities = capabilities.as_object().unwrap().clone();
        let url = format!("http://127.0.0.1:{port}");
        let client = until("a browser", Duration::from_secs(30), async || {
            let mut browser = ClientBuilder::new(HttpConnector::new());
            Ok(Some(
                browser.capabilities(capabilities.clone()).connect(&url).await?,
            ))
        });
        Self {
            client: client.await.unwrap(),
            pictures: stack.folder().clone(),
            taken: 0,
            _driver: driver,
            _profile: profile,
        }
    }

    /// Keeps a picture of the whole page, and checks what holds for every page of ours.
    async fn picture(&mut self, name: &str) {
        self.taken += 1;
        let png = self.client.screenshot().await.unwrap();
        std::fs::write(self.pictures.join(format!("{:02}-{name}.png", self.taken)), png).unwrap();
    }

    /// Nothing hangs over the edge, and every control has a name for those who cannot see it.
    async fn check_page(&self) {
        let script = "
            const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
            const nameless = [...document.querySelectorAll('button, a[href], input:not([type=hidden]), select')]
                .filter(e => !(e.innerText || e.getAttribute('aria-label') || e.value || e.labels?.length || e.title))
                .map(e => e.outerHTML);
            return { wide, nameless, lang: document.documentElement.lang, title: document.title,
                     headings: document.querySelectorAll('h1').length, main: document.querySelectorAll('main').length };";
        let found = self.client.execute(script, Vec::new()).await.unwrap();
        assert!(
            found["wide"].as_i64().unwrap() <= 0,
            "the page is wider than the screen: {found}"
        );
        assert_eq!(found["nameless"], json!([]), "controls without a name");
        assert_eq!(
            (found["headings"].as_u64(), found["main"].as_u64()),
            (Some(1), Some(1)),
            "{found}"
        );
        assert!(!found["lang"].as_str().unwrap().is_empty() && !found["title"].as_str().unwrap().is_empty());
    }

    async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    async fn click(&self, css: &str) {
        let element = self
            .client
            .wait()
            .at_most(SOON)
            .for_element(Locator::Css(css))
            .await
            .unwrap();
        element.click().await.unwrap();
    }

    /// Waits until the page shows a text, without touching it: live, or by its own refresh.
    async fn sees(&self, text: &str) {
        let what = format!("the text {text:?}");
        let seen = until(&what, SOON, async || {
            let body = self.client.find(Locator::Css("body")).await?.text().await?;
            Ok(body.contains(text).then_some(()))
        });
        if let Err(error) = seen.await {
            let body = self
                .client
                .find(Locator::Css("body"))
                .await
                .unwrap()
                .text()
                .await
                .unwrap();
            panic!("{error:#}; the page says: {body}");
        }
    }
}

async fn walk(name: &str, width: u32, height: u32) {
    let stack = stack(name).await;
    let mut browser = Browser::open(&stack, width, height).await;
    let public_url = stack.public_url().to_owned();

    browser.goto(&public_url).await;
    browser.picture("landing").await;
    browser.check_page().await;
    browser.goto(&format!("{public_url}/plans")).await;
    browser.picture("plans").await;
    browser.check_page().await;

    browser
        .goto(&format!("{public_url}/auth/discord/login?next=/plans"))
        .await;
    browser.click(&format!("input[name=person][value='{ADA}']")).await;
    browser.click("button[name=decision][value=authorize]").await;
    browser
        .client
        .wait()
        .at_most(SOON)
        .for_element(Locator::Css("input[name=plan]"))
        .await
        .unwrap();
    browser.picture("plans-signed-in").await;

    browser
        .click("form:has(input[name=plan][value=council]) button[type=submit]")
        .await;
    browser
        .client
        .wait()
        .at_most(SOON)
        .for_element(Locator::Css("input[name=card]"))
        .await
        .unwrap();
    browser.picture("stripe-checkout").await;
    browser.click("button[type=submit]").await;
    stack.wait_for_roles(ADA, &["Council"], SOON).await.unwrap();
    browser.picture("success").await;
    browser.check_page().await;

    browser.goto(&format!("{public_url}/dashboard")).await;
    browser.sees("Council").await;
    browser.picture("dashboard-active").await;
    browser.check_page().await;

    let subscription = subscription(&stack).unwrap();
    stack.stripe.fail_payment(&subscription).unwrap();
    stack
        .wait_for_roles(ADA, &["Council", "Debtor"], SOON)
        .await
        .unwrap();
    browser.sees("Debtor").await;
    browser.picture("dashboard-grace").await;
    browser.check_page().await;

    browser
        .goto(&format!("{}/guilds/{}", stack.discord.origin(), demo::GUILD))
        .await;
    browser.picture("discord").await;
    browser.goto(&format!("{public_url}/dashboard")).await;

    stack.stripe.cancel(&subscription).unwrap();
    stack.wait_for_roles(ADA, &[], SOON).await.unwrap();
    wait_for_why(&stack, "the end", SOON, |why| why["standing"] == "ended").await;
    browser.goto(&format!("{public_url}/dashboard")).await;
    browser.picture("dashboard-ended").await;
    browser.check_page().await;

    browser.goto(&format!("{public_url}/nothing-here")).await;
    browser.picture("not-found").await;
    browser.check_page().await;
    browser.client.close().await.unwrap();
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn the_story_can_be_clicked_through_on_a_phone() {
    walk("phone", 390, 844).await;
}

#[tokio::test]
async fn the_story_can_be_clicked_through_at_a_desk() {
    walk("desktop", 1280, 800).await;
}
