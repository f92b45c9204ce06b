//! What the Core answers to each request of the command line.

use onitu_core::control::{FromCore, ToCore};
use onitu_core::status::{ServiceState, ServiceStatus};
use onitu_core::store::StoreError;
use onitu_core::{Path, Service};

use crate::core::{Change, Core};
use crate::name;
use crate::overview::{status, store_away};
use crate::register::quoted;
use crate::tree::{Walk, WalkError};

/// The exit code of a bad configuration.
pub(crate) const BAD_CONFIGURATION: u8 = 78;
/// The exit code of everything else that fails.
const FAILED: u8 = 1;

impl Core {
    /// The one answer to `request`; [`ToCore::Ls`] has many and goes through [`Core::walk`].
    pub(crate) async fn answer(&self, request: ToCore) -> FromCore {
        match request {
            ToCore::Status => FromCore::Status(Box::new(status(&self.parts().await))),
            ToCore::Settled => FromCore::Settled(self.going_on().await),
            ToCore::Ls(_) | ToCore::Trash(_) | ToCore::Restore(_) => {
                failed("a listing has many answers")
            }
            ToCore::Plan(question) => self.plan(&question).await,
            ToCore::Apply(id) => self.apply(&id).await,
            ToCore::Explain(supposed) => match self.explain(&supposed).await {
                Ok(explanation) => FromCore::Explanation(Box::new(explanation)),
                Err(message) => failed(message),
            },
            ToCore::Conflicts => self.conflicts().await.unwrap_or_else(|error| away(&error)),
            ToCore::Reload => self.reload().await,
            ToCore::Rescan(name) => self.rescan(name.as_deref()).await,
            ToCore::Pause(name) => self.pause(name.as_deref(), true).await,
            ToCore::Resume(name) => self.pause(name.as_deref(), false).await,
            ToCore::Approve(name, approval) => self.approve(&name, approval).await,
            ToCore::Verify(asked) => self.verify(asked).await,
            ToCore::Resolve { kept, keep } => self.resolve(&kept, &keep).await,
        }
    }

    /// The way through the tree below `path`.
    pub(crate) async fn walk(&self, path: Path) -> Result<Walk, FromCore> {
        Walk::new(self.store.clone(), self.registry(), path).await.map_err(|error| match error {
            WalkError::NotFound(_) => failed(error.to_string()),
            WalkError::Store(error) => away(&error),
        })
    }

    async fn reload(&self) -> FromCore {
        let configuration = match self.read_configuration().await {
            Ok(configuration) => configuration,
            Err(message) => return FromCore::Error { message, code: BAD_CONFIGURATION },
        };
        let change = Change { configuration: Some(configuration), ..Change::default() };
        match self.establish(change).await {
            Ok(said) => FromCore::Done(said),
            Err(error) => away(&error),
        }
    }

    async fn pause(&self, name: Option<&str>, pause: bool) -> FromCore {
        let registry = self.registry();
        let services = match name::meant(&registry, name) {
            Ok(services) => services,
            Err(message) => return failed(message),
        };
        let (verb, already) =
            if pause { ("paused", "paused already") } else { ("resumed", "not paused") };
        let (same, other): (Vec<_>, Vec<_>) =
            services.into_iter().partition(|service| service.paused == pause);
        if other.is_empty() {
            return FromCore::Done(match &same[..] {
                [] => "no service is configured".to_owned(),
                same => format!("{already}: {}", quoted(same)),
            });
        }
        let paused = other.iter().map(|service| (service.name.clone(), pause)).collect();
        match self.establish(Change { paused, ..Change::default() }).await {
            Ok(_) => FromCore::Done(format!("{verb} {}", quoted(&other))),
            Err(error) => away(&error),
        }
    }

    async fn rescan(&self, name: Option<&str>) -> FromCore {
        let registry = self.registry();
        let mut services = match name::meant(&registry, name) {
            Ok(services) => services,
            Err(message) => return failed(message),
        };
        if name.is_none() {
            services.retain(|service| !service.paused);
        }
        let status = status(&self.parts().await);
        let mut refusals = Vec::new();
        for service in &services {
            let how = status.services.iter().find(|status| status.name == service.name);
            if let Some(refusal) = self.rescan_one(service, how).await {
                refusals.push(refusal);
            }
        }
        if refusals.is_empty() {
            FromCore::Done(match &services[..] {
                [] => "no service is running".to_owned(),
                services => format!("scanning {}", quoted(services)),
            })
        } else {
            failed(refusals.join("\n"))
        }
    }

    /// Asks one driver to scan; why it won't.
    async fn rescan_one(&self, service: &Service, how: Option<&ServiceStatus>) -> Option<String> {
        let name = &service.name;
        let reason = how.and_then(|how| how.reason.as_deref()).unwrap_or("no reason was given");
        match how.map(|how| how.state) {
            Some(ServiceState::Paused) => return Some(format!("`{name}` is {reason}")),
            Some(ServiceState::Unavailable) => {
                return Some(format!("`{name}` is unavailable: {reason}"));
            }
            _ => {}
        }
        self.ask_to_scan(service).await.err().map(|why| format!("`{name}` {why}"))
    }
}

/// An answer that something can't be.
pub(crate) fn failed(message: impl Into<String>) -> FromCore {
    FromCore::Error { message: message.into(), code: FAILED }
}

/// An answer that the store is away.
pub(crate) fn away(error: &StoreError) -> FromCore {
    failed(store_away(error))
}

#[cfg(test)]
mod tests;
