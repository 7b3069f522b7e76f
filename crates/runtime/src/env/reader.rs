//! Reads variables and collects what is wrong with them instead of stopping at the first fault.

use std::{ffi::OsStr, fs};

use crate::env::{
    ConfigError, Env, Fault, Service,
    parse::Problem,
    registry::{self, Variable},
};

/// A value, or the word that its fault has been recorded.
pub type Read<T> = Result<T, Reported>;

/// The fault that was recorded instead of a value; only [`Reader::fault`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported(Fault);

impl From<Reported> for ConfigError {
    fn from(reported: Reported) -> Self {
        Self::new(vec![reported.0])
    }
}

/// Reads the variables of one service and remembers every fault.
#[derive(Debug)]
pub struct Reader<'a> {
    env: &'a Env,
    service: Service,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    /// A reader without faults so far.
    pub fn new(env: &'a Env, service: Service) -> Self {
        Self {
            env,
            service,
            faults: Vec::new(),
        }
    }

    /// Who is asking; some defaults differ by service.
    pub fn service(&self) -> Service {
        self.service
    }

    /// The value of `variable`, else its default, else a fault.
    pub fn get<T>(
        &mut self,
        variable: &'static Variable,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Read<T> {
        match self.find(variable, parse)? {
            Some(value) => Ok(value),
            None => Err(self.missing(variable)),
        }
    }

    /// Records that `variable` is not set.
    pub(crate) fn missing(&mut self, variable: &'static Variable) -> Reported {
        self.fault(variable, "is not set")
    }

    /// The value of `variable`, else its default, else `None`.
    pub fn find<T>(
        &mut self,
        variable: &'static Variable,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Read<Option<T>> {
        let given = self.text(variable)?;
        let Some(text) = given.as_deref().or(variable.default_for(self.service)) else {
            return Ok(None);
        };
        parse(text)
            .map(Some)
            .map_err(|problem| self.fault(variable, problem))
    }

    /// Records that `variable` is wrong. The same fault is kept once, so that two sections may
    /// read the same variable.
    pub fn fault(&mut self, variable: &'static Variable, problem: impl Into<String>) -> Reported {
        let fault = Fault::new(variable, problem.into());
        if !self.faults.contains(&fault) {
            self.faults.push(fault.clone());
        }
        Reported(fault)
    }

    /// Every fault so far, or nothing.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(ConfigError::new(self.faults))
        }
    }

    /// The text given for `variable`, by value or by file.
    fn text(&mut self, variable: &'static Variable) -> Read<Option<String>> {
        let file_variable = format!("{}_FILE", variable.name);
        let text = match (self.env.get(variable.name), self.env.get(&file_variable)) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                return Err(self.fault(variable, format!("is given twice: remove it or {file_variable}")));
            }
            (Some(value), None) => value
                .to_str()
                .map(str::to_owned)
                .ok_or("is not valid UTF-8".to_owned()),
            (None, Some(path)) => read_file(path).map_err(|problem| format!("{file_variable} {problem}")),
        };
        let text = text.map_err(|problem| self.fault(variable, problem))?;
        if text.is_empty() {
            return Ok(None);
        }
        if text.trim() != text {
            return Err(self.fault(variable, "has white space around it"));
        }
        if variable.is_secret() && text == variable.example && self.is_production() {
            return Err(self.fault(variable, "is still the example: make your own"));
        }
        Ok(Some(text))
    }

    fn is_production(&mut self) -> bool {
        // No recursion: `APP_ENV` is no secret.
        self.text(&registry::APP_ENV)
            .is_ok_and(|text| text.as_deref() == Some("production"))
    }
}

/// The content of a secret file without its final newline. The path stays out of the message:
/// somebody may have put the secret itself where the path belongs.
fn read_file(path: &OsStr) -> Result<String, Problem> {
    let bytes = fs::read(path).map_err(|error| format!("cannot be read: {}", error.kind()))?;
    let text = String::from_utf8(bytes).map_err(|_| "holds something that is not UTF-8".to_owned())?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}
