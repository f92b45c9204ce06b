//! What a person decides about removals and replaced contents that the brake holds: asked of the
//! service's driver, which alone knows them.

use std::time::Duration;

use onitu_core::control::FromCore;
use onitu_core::held::{Approval, Verdict};
use onitu_core::limits::REQUEST_TIMEOUT_MS;
use onitu_core::message::{Reply, Request, decode, encode};
use onitu_core::status::ServiceState;
use onitu_core::{FaultKind, Service};

use crate::answer::failed;
use crate::core::Core;
use crate::name;
use crate::overview::status;

impl Core {
    /// What is held on the service called `name`, or the answer to a decision about it.
    pub(crate) async fn approve(&self, name: &str, approval: Approval) -> FromCore {
        let registry = self.registry();
        let service = match name::meant(&registry, Some(name)) {
            Ok(services) => services[0],
            Err(message) => return failed(message),
        };
        let patience = Duration::from_millis(REQUEST_TIMEOUT_MS);
        let verdict = approval.verdict;
        let asked = encode(&Request::Brake(approval));
        let answer = self.requester(service.id).request(asked, patience).await;
        match (answer.map(|reply| decode(&reply)), verdict) {
            (Ok(Ok(Reply::Held(review))), None) => FromCore::Held(review),
            (Ok(Ok(Reply::Done)), Some(verdict)) => FromCore::Done(decided(name, verdict)),
            (Ok(Ok(Reply::Refused(fault))), _) if fault.kind == FaultKind::NotFound => {
                failed(format!("`{name}` isn't held: there is nothing to decide"))
            }
            (Ok(Ok(Reply::Refused(fault))), _) => failed(format!("`{name}`: {fault}")),
            (Ok(Ok(_)), _) => failed(format!("`{name}` answered something else")),
            (Ok(Err(error)), _) => failed(format!("`{name}` gave {error}")),
            (Err(error), _) => failed(self.why_not(service, &error.to_string()).await),
        }
    }

    /// Why a driver doesn't answer.
    async fn why_not(&self, service: &Service, error: &str) -> String {
        let name = &service.name;
        let status = status(&self.parts().await);
        let how = status.services.into_iter().find(|status| status.name == *name);
        let reason = how.as_ref().and_then(|how| how.reason.clone());
        let reason = reason.unwrap_or_else(|| error.to_owned());
        match how.map(|how| how.state) {
            Some(ServiceState::Paused) => format!("`{name}` is {reason}"),
            Some(ServiceState::Unavailable) => format!("`{name}` is unavailable: {reason}"),
            _ => format!("`{name}` can't be asked: {error}"),
        }
    }
}

fn decided(name: &str, verdict: Verdict) -> String {
    match verdict {
        Verdict::Approve => format!("approved: what was held on `{name}` is done everywhere"),
        Verdict::Reject => format!("rejected: what was held on `{name}` comes back there"),
    }
}

#[cfg(test)]
mod tests {
    use onitu_core::control::ToCore;
    use onitu_core::held::Held;

    use super::*;
    use crate::tests::House;

    async fn approve(house: &House, name: &str, verdict: Option<Verdict>) -> FromCore {
        let approval = Approval { verdict, seen: None };
        house.core.answer(ToCore::Approve(name.to_owned(), approval)).await
    }

    fn error(answer: FromCore) -> String {
        match answer {
            FromCore::Error { message, code: 1 } => message,
            other => panic!("no error: {other:?}"),
        }
    }

    #[tokio::test]
    async fn what_is_held_is_shown_and_decided() {
        let house = House::new(&["nas"]).await;
        let nas = house.drive(1, "nas").await;
        let held = Held { removed: 30, changed: 0, of: 40 };
        *nas.held.lock().unwrap() = Some(held);
        match approve(&house, "nas", None).await {
            FromCore::Held(review) => assert_eq!(review.held, held),
            other => panic!("{other:?}"),
        }
        assert_eq!(*nas.verdict.lock().unwrap(), None, "it was only asked");
        let done = approve(&house, "nas", Some(Verdict::Reject)).await;
        assert!(matches!(done, FromCore::Done(_)), "{done:?}");
        assert_eq!(*nas.verdict.lock().unwrap(), Some(Verdict::Reject));
    }

    #[tokio::test]
    async fn what_can_not_be_decided_is_told() {
        let house = House::new(&["nas", "usb"]).await;
        let _nas = house.drive(1, "nas").await;
        insta::assert_snapshot!(
            error(approve(&house, "nas", Some(Verdict::Approve)).await),
            @"`nas` isn't held: there is nothing to decide"
        );
        insta::assert_snapshot!(error(approve(&house, "nass", None).await), @r"
        no service is called `nass`
        hint: did you mean `nas`?
        ");
        house.core.answer(ToCore::Pause(Some("usb".to_owned()))).await;
        insta::assert_snapshot!(
            error(approve(&house, "usb", None).await),
            @"`usb` is paused: `onitu resume usb` lets it go on"
        );
    }
}
