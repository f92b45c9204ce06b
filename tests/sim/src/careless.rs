//! The canary: a driver that overwrites whatever it finds. A simulation that doesn't notice its
//! losses would notice nobody's.

use bytes::Bytes;

use onitu_driver_memory::Memory;
use onitu_plug::{Content, Fault, Hasher, Manifest, Path, Plug, Setting, Sink, State, Tag};

/// [`Memory`], but for the check just before it replaces something.
pub struct Careless(pub Memory);

/// Writes for [`Careless`].
pub struct CarelessSink {
    sink: <Memory as Plug>::Sink,
    found: Option<Tag>,
}

impl Plug for Careless {
    type Options = <Memory as Plug>::Options;
    type Source = <Memory as Plug>::Source;
    type Sink = CarelessSink;

    fn manifest() -> Manifest {
        <Memory>::manifest()
    }

    onitu_plug::forward_plug!(0: abilities, listing_lag, check, watch, settle, list, look, read, make_directory, set_attributes);

    async fn connect(options: Self::Options, setting: Setting) -> Result<Self, Fault> {
        <Memory>::connect(options, setting).await.map(Self)
    }

    async fn write(
        &self,
        path: &Path,
        content: &Content,
        resume: u64,
    ) -> Result<CarelessSink, Fault> {
        let sink = self.0.write(path, content, resume).await?;
        let found = self.0.look(path).await?.map(|state| state.tag);
        Ok(CarelessSink { sink, found })
    }

    async fn rename(
        &self,
        from: &Path,
        expect_from: Tag,
        to: &Path,
        _expect_to: Option<Tag>,
    ) -> Result<State, Fault> {
        let found = self.0.look(to).await?.map(|state| state.tag);
        self.0.rename(from, expect_from, to, found).await
    }

    async fn remove(&self, path: &Path, expect: Tag) -> Result<(), Fault> {
        let found = self.0.look(path).await?.map_or(expect, |state| state.tag);
        self.0.remove(path, found).await
    }
}

impl Sink for CarelessSink {
    async fn resumed(&mut self) -> Result<(u64, Hasher), Fault> {
        self.sink.resumed().await
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        self.sink.write(bytes).await
    }

    async fn place(self, content: Content, _expect: Option<Tag>) -> Result<State, Fault> {
        self.sink.place(content, self.found).await
    }

    async fn discard(self) {
        self.sink.discard().await;
    }
}
