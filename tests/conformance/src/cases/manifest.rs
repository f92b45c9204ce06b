//! What the manifest says of the driver before it is run.
//!
//! The manifest is the one thing that is read without a storage: by the Core, when it checks
//! `entries.toml`; by `onitu drivers`, which prints it; by the engine, which plans with the
//! abilities. So these cases look at words and at consistency. Whether the driver can really do
//! what it claims is asked by all the other rooms.

use std::collections::BTreeSet;

use onitu_plug::{Manifest, OptionKind, PROTOCOL_VERSION, Plug};
use serde_json::json;

use crate::promise::{Promise, Verdict, require, same};
use crate::scene::Scene;
use crate::subject::Subject;

/// Options that every service has; no driver may take them for itself.
const COMMON: [&str; 10] = [
    "driver",
    "mode",
    "at",
    "quota",
    "limit",
    "poll",
    "max_delete",
    "max_change",
    "trash_days",
    "verify",
];

/// The manifest of the scene's driver; the scene names it, its storage isn't used.
fn of<S: Subject>(_: &Scene<S>) -> Manifest {
    S::Plug::manifest()
}

/// Name, options and abilities are constant.
///
/// The Core reads it once, before the service exists, and the engine plans with it; a manifest
/// that depends on the day would make plans that can't be carried out.
pub async fn the_manifest_is_the_same_each_time<S: Subject>(scene: Scene<S>) -> Promise {
    same("the second manifest", &of(&scene), &of(&scene))?;
    Ok(Verdict::Kept)
}

/// The name is one of a program: `onitu-driver-NAME`.
///
/// It is looked for on `PATH` as `onitu-driver-NAME` and written by hand in `entries.toml`, so
/// it must survive every file system and keyboard.
pub async fn the_drivers_name_is_lower_case<S: Subject>(scene: Scene<S>) -> Promise {
    let name = of(&scene).name;
    let is_fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    require!(!name.is_empty() && name.chars().all(is_fine), "`{name}` is no driver's name");
    Ok(Verdict::Kept)
}

/// A person reads one line of what the driver is.
///
/// `onitu drivers` prints it in a table.
pub async fn the_description_is_one_line<S: Subject>(scene: Scene<S>) -> Promise {
    let description = of(&scene).description;
    require!(!description.trim().is_empty(), "the description is empty");
    require!(!description.contains('\n'), "the description has more than one line");
    Ok(Verdict::Kept)
}

/// The manifest names the version of the messages that the runtime speaks.
///
/// A driver that was built long ago is refused politely instead of being misunderstood.
pub async fn the_manifest_names_the_protocol_it_speaks<S: Subject>(scene: Scene<S>) -> Promise {
    let manifest = of(&scene);
    same("the protocol", &manifest.protocol, &PROTOCOL_VERSION)?;
    require!(!manifest.version.is_empty(), "the driver has no version");
    Ok(Verdict::Kept)
}

/// Every option says what it is for.
///
/// The reference of options is made from it, and so are the hints of `onitu check`.
pub async fn every_option_has_a_help_text<S: Subject>(scene: Scene<S>) -> Promise {
    for option in of(&scene).options {
        require!(!option.help.trim().is_empty(), "option `{}` has no help text", option.name);
    }
    Ok(Verdict::Kept)
}

/// Options are named in lower case with `_` between words.
///
/// They are keys in `entries.toml`, where a reader expects one way of writing.
pub async fn option_names_are_lower_case_words<S: Subject>(scene: Scene<S>) -> Promise {
    for option in of(&scene).options {
        let is_fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let name = option.name;
        require!(!name.is_empty() && name.chars().all(is_fine), "`{name}` is no option's name");
    }
    Ok(Verdict::Kept)
}

/// No option is described twice, and none hides one that every service has.
///
/// An option that hid `mode` or `limit` would take a setting away from the admin without a
/// word.
pub async fn every_option_has_a_name_of_its_own<S: Subject>(scene: Scene<S>) -> Promise {
    let mut seen: BTreeSet<String> = COMMON.map(str::to_owned).into();
    for option in of(&scene).options {
        require!(seen.insert(option.name.clone()), "option `{}` is taken already", option.name);
    }
    Ok(Verdict::Kept)
}

/// What must be given has no default, and neither has a secret.
///
/// A default for what must be given is never used; one for a secret would be printed.
pub async fn only_what_may_be_left_out_has_a_default<S: Subject>(scene: Scene<S>) -> Promise {
    for option in of(&scene).options {
        let must_be_given = option.required || option.kind == OptionKind::Secret;
        let name = option.name;
        require!(option.default.is_none() || !must_be_given, "`{name}` must not have a default");
    }
    Ok(Verdict::Kept)
}

/// Without options the driver refuses exactly if its manifest requires one.
///
/// `onitu check` trusts the manifest, the driver trusts its deserializer; where they differ, a
/// good configuration is refused or a bad one starts.
pub async fn required_options_are_required<S: Subject>(scene: Scene<S>) -> Promise {
    let requires = of(&scene).options.iter().any(|option| option.required);
    let taken = scene.subject.takes(json!({})).await;
    require!(taken != requires, "requires options: {requires}, does without: {taken}");
    Ok(Verdict::Kept)
}

/// The options that the subject connects with are all in the manifest.
///
/// What isn't in the manifest can't be written in `entries.toml`: the Core refuses unknown
/// options.
pub async fn the_options_in_use_are_in_the_manifest<S: Subject>(scene: Scene<S>) -> Promise {
    let known: BTreeSet<String> = of(&scene).options.into_iter().map(|it| it.name).collect();
    let options = scene.subject.options();
    let used = options.as_object().into_iter().flatten().map(|(name, _)| name);
    for name in used {
        require!(known.contains(name), "option `{name}` is not in the manifest");
    }
    Ok(Verdict::Kept)
}

/// A connection is able to do no more than the manifest says.
///
/// What isn't in the manifest is not expected by anybody who plans with it.
pub async fn a_connection_has_no_ability_that_the_manifest_denies<S: Subject>(
    scene: Scene<S>,
) -> Promise {
    let shown = |abilities| serde_json::to_value(abilities).unwrap_or_default();
    let manifest = shown(S::Plug::manifest().abilities);
    for (ability, has) in shown(scene.abilities()).as_object().into_iter().flatten() {
        let more = has == true && manifest.get(ability) == Some(&false.into());
        require!(!more, "it is connected with `{ability}`, which the manifest denies");
    }
    Ok(Verdict::Kept)
}
