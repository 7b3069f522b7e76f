//! A person at a browser without JavaScript: follows links and redirects, fills in forms.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use reqwest::{StatusCode, cookie::Jar, redirect::Policy};
use scraper::{ElementRef, Html, Selector};
use url::Url;

/// A person with cookies of their own.
#[derive(Debug, Clone)]
pub struct Person {
    client: reqwest::Client,
    cookies: Arc<Jar>,
}

/// A page as it was shown.
#[derive(Debug, Clone)]
pub struct Page {
    /// Where it is, after all redirects.
    pub url: Url,
    /// The answer's status.
    pub status: StatusCode,
    /// The HTML.
    pub body: String,
}

/// Fields by name, with their values.
type Fields = Vec<(String, String)>;

/// A form with its fields filled in.
#[derive(Debug, Clone)]
pub struct Form {
    action: Url,
    post: bool,
    fields: Fields,
}

impl Person {
    /// Somebody who was never here.
    pub fn new() -> anyhow::Result<Self> {
        let cookies = Arc::new(Jar::default());
        let client = reqwest::Client::builder()
            .no_proxy()
            .cookie_provider(Arc::clone(&cookies))
            .redirect(Policy::limited(10))
            .timeout(Duration::from_secs(20))
            .user_agent("Mozilla/5.0 (a person)")
            .build()?;
        Ok(Self { client, cookies })
    }

    /// Their cookies.
    pub fn cookies(&self) -> &Jar {
        &self.cookies
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) -> anyhow::Result<Page> {
        let response = self.client.get(url).header("accept", "text/html").send().await?;
        Page::of(response).await.with_context(|| format!("open {url}"))
    }

    /// Sends a form, as a browser does: with the page's origin.
    pub async fn submit(&self, page: &Page, form: &Form) -> anyhow::Result<Page> {
        let request = if form.post {
            let origin = page.url.origin().ascii_serialization();
            self.client
                .post(form.action.clone())
                .header("origin", origin)
                .form(&form.fields)
        } else {
            self.client.get(form.action.clone()).query(&form.fields)
        };
        let response = request.header("accept", "text/html").send().await?;
        let page = Page::of(response)
            .await
            .with_context(|| format!("send the form to {}", form.action))?;
        match page.onward()? {
            // Where a form may not lead off this site, its page leads on.
            Some(url) => self.open(url.as_str()).await,
            None => Ok(page),
        }
    }

    /// Signs in by the simulated Discord as this account, and ends on `next`.
    pub async fn sign_in(&self, public_url: &str, user: u64, next: &str) -> anyhow::Result<Page> {
        let consent = self
            .open(&format!("{public_url}/auth/discord/login?next={next}"))
            .await?;
        let form = consent
            .form_with("decision")?
            .with("person", &user.to_string())
            .with("decision", "authorize");
        let page = self.submit(&consent, &form).await?;
        page.expect(&format!("{public_url}{next}"))?;
        Ok(page)
    }

    /// Buys a plan with a card that works; ends on the page that Stripe sends buyers to.
    pub async fn buy(&self, public_url: &str, plan: &str, email: &str) -> anyhow::Result<Page> {
        let plans = self.open(&format!("{public_url}/plans")).await?;
        let checkout = self.submit(&plans, &plans.form_where("plan", plan)?).await?;
        let pay = checkout
            .form_with("card")?
            .with("email", email)
            .with("card", "works");
        let page = self.submit(&checkout, &pay).await?;
        page.expect(&format!("{public_url}/checkout/success"))?;
        Ok(page)
    }
}

impl Page {
    async fn of(response: reqwest::Response) -> anyhow::Result<Self> {
        let (url, status) = (response.url().clone(), response.status());
        Ok(Self {
            url,
            status,
            body: response.text().await?,
        })
    }

    /// Errs unless this is the page that was expected, and it is no error page.
    pub fn expect(&self, prefix: &str) -> anyhow::Result<()> {
        if !self.url.as_str().starts_with(prefix) || !self.status.is_success() {
            bail!(
                "expected {prefix}, came to {} with {}: {}",
                self.url,
                self.status,
                self.text()
            );
        }
        Ok(())
    }

    /// Where the page sends a browser at once by itself.
    fn onward(&self) -> anyhow::Result<Option<Url>> {
        let html = Html::parse_document(&self.body);
        let refresh = selector("meta[http-equiv=refresh]")?;
        let content = html.select(&refresh).next().and_then(|meta| meta.attr("content"));
        let url = content.and_then(|content| content.strip_prefix("0; url="));
        Ok(url.map(|url| self.url.join(url)).transpose()?)
    }

    /// The words on the page.
    pub fn text(&self) -> String {
        let html = Html::parse_document(&self.body);
        let words: Vec<&str> = html
            .root_element()
            .text()
            .flat_map(str::split_whitespace)
            .collect();
        words.join(" ")
    }

    /// The first form that has a field of this name.
    pub fn form_with(&self, field: &str) -> anyhow::Result<Form> {
        let forms = self.forms()?;
        let found = forms
            .into_iter()
            .find(|(_, names)| names.iter().any(|(name, _)| name == field));
        found
            .map(|(form, _)| form)
            .with_context(|| format!("{} has no form with {field}: {}", self.url, self.text()))
    }

    /// The first form in which this field has this value.
    pub fn form_where(&self, field: &str, value: &str) -> anyhow::Result<Form> {
        let forms = self.forms()?;
        let same = |(name, given): &(String, String)| name == field && given == value;
        let found = forms.into_iter().find(|(_, all)| all.iter().any(same));
        found
            .map(|(form, _)| form)
            .with_context(|| format!("{} has no form with {field}={value}: {}", self.url, self.text()))
    }

    /// Every form, with all of its controls by name and value.
    fn forms(&self) -> anyhow::Result<Vec<(Form, Fields)>> {
        let html = Html::parse_document(&self.body);
        let (forms, controls) = (selector("form")?, selector("input, button, select")?);
        let read = |form: ElementRef<'_>| {
            let action = self.url.join(form.attr("action").unwrap_or_default())?;
            let post = form
                .attr("method")
                .is_some_and(|method| method.eq_ignore_ascii_case("post"));
            let (mut all, mut fields) = (Vec::new(), Vec::new());
            for control in form.select(&controls) {
                let Some(name) = control.attr("name") else {
                    continue;
                };
                let field = (
                    name.to_owned(),
                    control
                        .attr("value")
                        .unwrap_or_else(|| default_value(control))
                        .to_owned(),
                );
                if is_sent(control) {
                    fields.push(field.clone());
                }
                all.push(field);
            }
            Ok((Form { action, post, fields }, all))
        };
        html.select(&forms).map(read).collect()
    }
}

/// What a browser sends for a control that gives no value.
fn default_value(control: ElementRef<'_>) -> &'static str {
    match control.attr("type") {
        Some("radio" | "checkbox") => "on",
        _ => "",
    }
}

/// Whether a browser sends a control that nobody touched. A select sends its first option, which for
/// our purpose is set with [`Form::with`].
fn is_sent(control: ElementRef<'_>) -> bool {
    match (control.value().name(), control.attr("type")) {
        ("button" | "select", _) | (_, Some("submit" | "button")) => false,
        (_, Some("radio" | "checkbox")) => control.attr("checked").is_some(),
        _ => true,
    }
}

fn selector(css: &str) -> anyhow::Result<Selector> {
    Selector::parse(css).map_err(|error| anyhow::anyhow!("{css}: {error}"))
}

impl Form {
    /// The form with one field set.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(field, _)| field != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }
}
