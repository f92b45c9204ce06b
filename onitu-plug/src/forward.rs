//! What a wrapper of a driver leaves as it is.

/// Methods of [`Plug`](crate::Plug) that a wrapper passes on to the driver in one of its fields,
/// each named once: `forward_plug!(inner: check, settle)`. `manifest` comes from the type parameter
/// `P`; `read` and `write` are for wrappers that have the driver's own source and sink. A wrapper
/// writes the others, and `connect`, itself.
#[macro_export]
macro_rules! forward_plug {
    ($field:tt: $($method:ident),+ $(,)?) => { $($crate::forward_plug!(@ $field $method);)+ };
    (@ $field:tt manifest) => {
        fn manifest() -> $crate::Manifest {
            P::manifest()
        }
    };
    (@ $field:tt abilities) => {
        fn abilities(&self) -> $crate::Abilities {
            self.$field.abilities()
        }
    };
    (@ $field:tt listing_lag) => {
        fn listing_lag(&self) -> ::std::time::Duration {
            self.$field.listing_lag()
        }
    };
    (@ $field:tt check) => {
        async fn check(&self) -> Result<(), $crate::Fault> {
            self.$field.check().await
        }
    };
    (@ $field:tt watch) => {
        async fn watch(&self, hints: $crate::Hints) -> Result<(), $crate::Fault> {
            self.$field.watch(hints).await
        }
    };
    (@ $field:tt settle) => {
        async fn settle(&self) -> Result<(), $crate::Fault> {
            self.$field.settle().await
        }
    };
    (@ $field:tt list) => {
        async fn list(
            &self,
            directory: &$crate::Path,
            listing: $crate::Listing,
        ) -> Result<(), $crate::Fault> {
            self.$field.list(directory, listing).await
        }
    };
    (@ $field:tt look) => {
        async fn look(
            &self,
            path: &$crate::Path,
        ) -> Result<Option<$crate::State>, $crate::Fault> {
            self.$field.look(path).await
        }
    };
    (@ $field:tt read) => {
        async fn read(
            &self,
            path: &$crate::Path,
            tag: $crate::Tag,
            offset: u64,
        ) -> Result<Self::Source, $crate::Fault> {
            self.$field.read(path, tag, offset).await
        }
    };
    (@ $field:tt write) => {
        async fn write(
            &self,
            path: &$crate::Path,
            content: &$crate::Content,
            resume: u64,
        ) -> Result<Self::Sink, $crate::Fault> {
            self.$field.write(path, content, resume).await
        }
    };
    (@ $field:tt make_directory) => {
        async fn make_directory(
            &self,
            path: &$crate::Path,
            expect: Option<$crate::Tag>,
        ) -> Result<$crate::State, $crate::Fault> {
            self.$field.make_directory(path, expect).await
        }
    };
    (@ $field:tt set_attributes) => {
        async fn set_attributes(
            &self,
            path: &$crate::Path,
            expect: $crate::Tag,
            content: &$crate::Content,
        ) -> Result<$crate::State, $crate::Fault> {
            self.$field.set_attributes(path, expect, content).await
        }
    };
    (@ $field:tt rename) => {
        async fn rename(
            &self,
            from: &$crate::Path,
            expect_from: $crate::Tag,
            to: &$crate::Path,
            expect_to: Option<$crate::Tag>,
        ) -> Result<$crate::State, $crate::Fault> {
            self.$field.rename(from, expect_from, to, expect_to).await
        }
    };
    (@ $field:tt remove) => {
        async fn remove(
            &self,
            path: &$crate::Path,
            expect: $crate::Tag,
        ) -> Result<(), $crate::Fault> {
            self.$field.remove(path, expect).await
        }
    };
    (@ $field:tt trash) => {
        async fn trash(
            &self,
            query: &$crate::TrashQuery,
        ) -> Result<$crate::TrashPage, $crate::Fault> {
            self.$field.trash(query).await
        }
    };
    (@ $field:tt hash_trashed) => {
        async fn hash_trashed(&self, id: &str) -> Result<$crate::Checksum, $crate::Fault> {
            self.$field.hash_trashed(id).await
        }
    };
    (@ $field:tt restore) => {
        async fn restore(
            &self,
            id: &str,
            path: &$crate::Path,
            expect: Option<$crate::Tag>,
        ) -> Result<$crate::State, $crate::Fault> {
            self.$field.restore(id, path, expect).await
        }
    };
}
