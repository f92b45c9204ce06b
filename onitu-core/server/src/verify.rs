//! Verifications: begun on the services a person means, watched and ended for whoever waits.

use std::time::Duration;

use onitu_core::control::{FromCore, ToVerify, Verifying};
use onitu_core::limits::REQUEST_TIMEOUT_MS;
use onitu_core::message::{Reply, Request, decode, encode};
use onitu_core::status::{ServiceState, ServiceStatus};
use onitu_core::verify::{Manner, VerifyRequest};
use onitu_core::{Service, clock};
use tokio::task::JoinSet;

use crate::answer::failed;
use crate::core::Core;
use crate::name;
use crate::overview::status;

impl Core {
    /// Answers everything about verification.
    pub(crate) async fn verify(&self, asked: ToVerify) -> FromCore {
        match asked {
            ToVerify::Begin { service, manner } => {
                self.begin_verifying(service.as_deref(), manner).await
            }
            ToVerify::Progress(begun) => {
                let asked = begun.into_iter();
                let asked = asked.map(|(name, id)| (name, VerifyRequest::Progress { id }));
                self.ask_about_verifying(asked).await
            }
            ToVerify::Stop(begun) => {
                let asked = begun.into_iter();
                let asked = asked.map(|(name, id)| (name, VerifyRequest::Stop { id }));
                self.ask_about_verifying(asked).await
            }
        }
    }

    async fn begin_verifying(&self, name: Option<&str>, manner: Manner) -> FromCore {
        let registry = self.registry();
        let mut services = match name::meant(&registry, name) {
            Ok(services) => services,
            Err(message) => return failed(message),
        };
        if name.is_none() {
            services.retain(|service| !service.paused);
        }
        if services.is_empty() {
            return failed("no service is running");
        }
        let status = status(&self.parts().await);
        let mut refused = Vec::new();
        let mut asked = Vec::new();
        let id = clock::now_ms();
        for service in services {
            let how = status.services.iter().find(|status| status.name == service.name);
            match refusal(service, how) {
                Some(problem) => refused.push(Verifying {
                    service: service.name.clone(),
                    verify: None,
                    problem: Some(problem),
                }),
                None => asked.push((service.name.clone(), VerifyRequest::Begin { id, manner })),
            }
        }
        let FromCore::Verifying(mut answers) = self.ask_about_verifying(asked.into_iter()).await
        else {
            return failed("the services can't be asked");
        };
        answers.extend(refused);
        answers.sort_by(|one, other| one.service.cmp(&other.service));
        FromCore::Verifying(answers)
    }

    /// Asks drivers, all at the same time; the answers come in the order of the names.
    async fn ask_about_verifying(
        &self,
        asked: impl Iterator<Item = (String, VerifyRequest)>,
    ) -> FromCore {
        let registry = self.registry();
        let mut asking = JoinSet::new();
        for (name, request) in asked {
            let Some(service) = registry.by_name(&name) else { continue };
            let requester = self.requester(service.id);
            asking.spawn(async move {
                let patience = Duration::from_millis(REQUEST_TIMEOUT_MS);
                let reply = requester.request(encode(&Request::Verify(request)), patience).await;
                let (verify, problem) = match reply.map(|reply| decode(&reply)) {
                    Ok(Ok(Reply::Verify(verify))) => (verify.map(|status| *status), None),
                    Ok(Ok(Reply::Refused(fault))) => (None, Some(fault.message)),
                    Ok(Ok(_)) => (None, Some(format!("`{name}` answered something else"))),
                    Ok(Err(error)) => (None, Some(format!("`{name}` gave {error}"))),
                    Err(error) => (None, Some(format!("`{name}` can't be asked: {error}"))),
                };
                Verifying { service: name, verify, problem }
            });
        }
        let mut answers = asking.join_all().await;
        answers.sort_by(|one, other| one.service.cmp(&other.service));
        FromCore::Verifying(answers)
    }
}

/// Why `service` can't be verified just now.
fn refusal(service: &Service, how: Option<&ServiceStatus>) -> Option<String> {
    let name = &service.name;
    let reason = how.and_then(|how| how.reason.as_deref()).unwrap_or("no reason was given");
    match how.map(|how| how.state) {
        Some(ServiceState::Paused) => Some(format!("`{name}` is {reason}")),
        Some(ServiceState::Unavailable) => Some(format!("`{name}` is unavailable: {reason}")),
        Some(ServiceState::Starting) => Some(format!("`{name}` is starting; try again")),
        _ => None,
    }
}
