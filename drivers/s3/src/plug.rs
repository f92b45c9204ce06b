//! The driver as Onitu sees it: each method in a few lines, on top of the other rooms.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use onitu_plug::{
    Checksum, Content, Fault, Hints, Listing, Manifest, Path, Plug, Setting, State, Tag, TrashPage,
    TrashQuery, clock,
};

use crate::client::Requests;
use crate::connection;
use crate::lease::{self, Lease};
use crate::marker::Marker;
use crate::object::Bucket;
use crate::options::{Options, manifest};
use crate::probe;
use crate::queue::Queue;
use crate::read::{self, S3Source};
use crate::reuse::Shelf;
use crate::trash;
use crate::upload;
use crate::watch::Watch;
use crate::write::{self, S3Sink};

/// Between two looks at the bounds of the trash and at abandoned uploads, in pauses.
const TEND_EVERY: u32 = 60;
/// So long after something went to a trash of bounded size, that is looked at as well.
const TEND_PAUSE: Duration = Duration::from_mins(1);
/// An upload that nobody has gone on with for so long is ended.
const UPLOADS_KEPT: Duration = Duration::from_hours(3 * 24);
/// What a problem with either is shown with.
const OWN: &str = ".onitu";

/// A bucket, or the part of one below a prefix.
pub struct S3 {
    bucket: Arc<Bucket>,
    marker: Marker,
    lease: Option<Lease>,
    watch: Watch,
    queue: Option<Queue>,
    trash_days: u32,
    trash_size_bytes: Option<u64>,
}

impl S3 {
    #[cfg(test)]
    pub(crate) fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Keeps the lock, if there is one; ends when somebody else has taken it.
    async fn hold(&self) -> Fault {
        match &self.lease {
            Some(lease) => lease.keep(&self.bucket).await,
            None => std::future::pending().await,
        }
    }

    /// Listens to the queue, if there is one.
    async fn hear(&self, hints: &Hints) -> Infallible {
        match &self.queue {
            Some(queue) => queue.run(&self.bucket, &self.watch, hints).await,
            None => std::future::pending().await,
        }
    }

    /// Keeps what is the driver's own within its bounds. That it can't be is told with the
    /// service's problems, and harms nothing else.
    async fn tend(&self, hints: &Hints) -> Infallible {
        let mut is_told = false;
        for pauses in 0_u32.. {
            tokio::time::sleep(TEND_PAUSE).await;
            let is_due = pauses % TEND_EVERY == 0;
            let may_be_full = self.trash_size_bytes.is_some() && self.bucket.recent.take_buried();
            if !is_due && !may_be_full {
                continue;
            }
            let ended = upload::end_abandoned(&self.bucket, UPLOADS_KEPT.as_secs()).await;
            let oldest_us = trash::oldest_us(clock::now_ms(), self.trash_days);
            let purged = self.bucket.purge(oldest_us, self.trash_size_bytes).await;
            match ended.and(purged) {
                Err(fault) => {
                    hints.problem(OWN, Some(fault));
                    is_told = true;
                }
                Ok(()) if is_told => {
                    hints.problem(OWN, None);
                    is_told = false;
                }
                Ok(()) => {}
            }
        }
        std::future::pending().await
    }
}

impl Plug for S3 {
    type Options = Options;
    type Source = S3Source;
    type Sink = S3Sink;

    fn manifest() -> Manifest {
        manifest()
    }

    async fn connect(options: Options, setting: Setting) -> Result<Self, Fault> {
        let kept_s = options.uploads_kept_s.unwrap_or(UPLOADS_KEPT.as_secs());
        let found = connection::found(&options).await?;
        let queue = options.queue.as_deref().map(|url| Queue::new(&found, url)).transpose()?;
        let requests = Requests::new(connection::to_bucket(&found, &options), &options);
        let mut bucket = Bucket::new(requests, &options);
        bucket.shelf = setting.state_dir.as_deref().map(Shelf::new);
        let marker = Marker::claim(&bucket, &setting).await?;
        bucket.conditions = probe::conditions(&bucket).await?;
        tracing::debug!(service = setting.service, "the server heeds {:?}", bucket.conditions);
        let stale = options.lease_s.map_or(lease::STALE, Duration::from_secs);
        let lease = Lease::take(&bucket, &setting, stale).await?;
        upload::end_abandoned(&bucket, kept_s).await?;
        let spill = setting.state_dir.clone().unwrap_or_else(std::env::temp_dir);
        let watch = Watch::new(options.poll(), options.poll_beside_queue(), spill);
        let (trash_days, trash_size_bytes) = (setting.trash_days, setting.trash_size_bytes);
        Ok(Self {
            bucket: Arc::new(bucket),
            marker,
            lease,
            watch,
            queue,
            trash_days,
            trash_size_bytes,
        })
    }

    async fn check(&self) -> Result<(), Fault> {
        self.marker.verify(&self.bucket).await
    }

    async fn watch(&self, hints: Hints) -> Result<(), Fault> {
        // The SDK's futures are deep, and these are within many others.
        let hearing: BoxFuture<'_, Infallible> = Box::pin(self.hear(&hints));
        tokio::select! {
            biased;
            end = self.watch.run(&self.bucket, &hints) => end,
            never = self.tend(&hints) => match never {},
            lost = self.hold() => Err(lost),
            never = hearing => match never {},
        }
    }

    async fn settle(&self) -> Result<(), Fault> {
        self.watch.settle().await;
        Ok(())
    }

    async fn list(&self, directory: &Path, listing: Listing) -> Result<(), Fault> {
        self.watch.ready().await;
        match self.watch.listed(directory).await {
            Some(snapshot) => self.bucket.list_kept(&snapshot, directory, &listing).await,
            None => self.bucket.list(directory, &listing).await,
        }
    }

    async fn look(&self, path: &Path) -> Result<Option<State>, Fault> {
        self.bucket.look(path).await
    }

    async fn read(&self, path: &Path, tag: Tag, offset: u64) -> Result<S3Source, Fault> {
        read::open(Arc::clone(&self.bucket), path.clone(), tag, offset).await
    }

    async fn write(&self, path: &Path, content: &Content, resume: u64) -> Result<S3Sink, Fault> {
        write::begin(Arc::clone(&self.bucket), path.clone(), content, resume).await
    }

    async fn make_directory(&self, path: &Path, expect: Option<Tag>) -> Result<State, Fault> {
        self.bucket.make_directory(path, expect).await
    }

    /// S3 keeps neither times nor bits: what stands there is told as it is, if it is that.
    async fn set_attributes(&self, path: &Path, expect: Tag, _: &Content) -> Result<State, Fault> {
        self.bucket.expect_file(path, expect).await.map(|object| object.state())
    }

    async fn rename(
        &self,
        from: &Path,
        expect_from: Tag,
        to: &Path,
        expect_to: Option<Tag>,
    ) -> Result<State, Fault> {
        self.bucket.rename(from, expect_from, to, expect_to).await
    }

    async fn remove(&self, path: &Path, expect: Tag) -> Result<(), Fault> {
        self.bucket.remove(path, expect).await
    }

    async fn trash(&self, query: &TrashQuery) -> Result<TrashPage, Fault> {
        self.bucket.trashed(query).await
    }

    async fn hash_trashed(&self, id: &str) -> Result<Checksum, Fault> {
        self.bucket.hash_trashed(id).await
    }

    async fn restore(&self, id: &str, path: &Path, expect: Option<Tag>) -> Result<State, Fault> {
        self.bucket.restore(id, path, expect).await
    }
}
