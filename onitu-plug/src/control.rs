//! What the Core asks of a driver: whether it is settled, a scan, the brake.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use onitu_core::bus::{BusError, Replier};
use onitu_core::message::{Reply, Request, decode, encode};
use onitu_core::{Fault, FaultKind};

use crate::plug::Plug;
use crate::service::Shared;
use crate::watching::Trees;

/// Everything that may be under way in a session.
pub(crate) struct UnderWay<'a, P> {
    pub(crate) shared: &'a Arc<Shared<P>>,
    pub(crate) trees: &'a Trees,
    /// Files that their writers keep open.
    pub(crate) quiet: &'a AtomicUsize,
}

/// Answers the Core until the bus ends.
pub(crate) async fn control<P: Plug>(
    under_way: &UnderWay<'_, P>,
    mut replier: Replier,
) -> Result<(), BusError> {
    loop {
        let (payload, answer) = replier.recv().await?;
        let reply = match decode::<Request>(&payload) {
            Ok(Request::Settle) => settle(under_way).await,
            Ok(Request::Rescan) => {
                under_way.shared.hints.rescan("asked for");
                Reply::Done
            }
            Ok(Request::Brake(approval)) => under_way.shared.brake.answer(&approval),
            Ok(Request::Orders { .. }) => {
                Reply::Refused(Fault::new(FaultKind::Unsupported, "orders go elsewhere"))
            }
            Err(error) => Reply::Refused(Fault::new(FaultKind::Unsupported, error.to_string())),
        };
        answer.send(encode(&reply));
    }
}

async fn settle<P: Plug>(under_way: &UnderWay<'_, P>) -> Reply {
    let UnderWay { shared, trees, quiet } = under_way;
    if let Err(fault) = shared.plug.settle().await {
        return Reply::Refused(fault);
    }
    let quiet = quiet.load(Ordering::SeqCst);
    let idle = shared.hints.is_empty()
        && trees.is_empty()
        && quiet == 0
        && shared.busy.load(Ordering::SeqCst) == 0
        && shared.scans.load(Ordering::SeqCst) > 0
        && shared.brake.is_at_rest()
        && shared.announcer.is_settled();
    tracing::trace!(
        service = shared.name,
        hints = shared.hints.is_empty(),
        trees = trees.is_empty(),
        quiet,
        busy = shared.busy.load(Ordering::SeqCst),
        braking = !shared.brake.is_at_rest(),
        settled = shared.announcer.is_settled(),
        "asked whether it is settled",
    );
    Reply::Settled { idle, activity: shared.announcer.activity() }
}
