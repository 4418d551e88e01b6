//! What a file is made of: parts within parts, the innermost of which are scenarios.

use std::collections::{BTreeMap, BTreeSet};

use d365_twin::{OrganizationConfig, ProxyConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::file::Runs;
use crate::schema::Form;
use crate::template::{fill, places_of};

/// A file, a group of scenarios, a scenario, or what a variant has of its own: each has what stands
/// around it, unless it says otherwise.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Part {
    /// The schema of these files, relative; of a file alone.
    #[serde(rename = "$schema")]
    pub(crate) schema: Option<String>,
    /// What the scenarios within show.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "Option<Text>")]
    pub(crate) about: Option<String>,
    /// Of a scenario: named for the rule that it shows; unique in its file.
    pub(crate) name: Option<String>,
    /// Of a scenario: the row of the table that the file shows.
    pub(crate) row: Option<String>,
    /// The rule.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "Option<Text>")]
    pub(crate) rule: Option<String>,
    /// With which subjects it is played.
    pub(crate) runs: Option<Runs>,
    /// Subjects that have no such thing, and are left out.
    pub(crate) except: Option<Vec<String>>,
    /// Each scenario is played once with each; `dotnet` alone by default.
    pub(crate) presets: Option<Vec<String>>,
    /// What the twin plays; `contoso` with every default by default.
    pub(crate) organizations: Option<Vec<OrganizationConfig>>,
    /// Forward proxies that know the twin's hosts; none by default.
    pub(crate) proxies: Option<Vec<ProxyConfig>>,
    /// Steps that are played first. A text among steps names a block.
    #[schemars(with = "Option<Vec<Form>>")]
    pub(crate) before: Option<Vec<Value>>,
    /// Steps that are played then.
    #[schemars(with = "Option<Vec<Form>>")]
    pub(crate) steps: Option<Vec<Value>>,
    /// Steps that are played last.
    #[schemars(with = "Option<Vec<Form>>")]
    pub(crate) after: Option<Vec<Value>>,
    /// Steps that are named where they are played.
    #[schemars(with = "BTreeMap<String, Vec<Form>>")]
    pub(crate) blocks: BTreeMap<String, Vec<Value>>,
    /// What `${name}` stands for in steps.
    pub(crate) with: Map<String, Value>,
    /// Each scenario within is played once in each, with what the variant has of its own. The
    /// innermost part that has variants says in which.
    pub(crate) variants: Option<BTreeMap<String, Part>>,
    /// The scenarios within, or groups of them.
    pub(crate) scenarios: Vec<Part>,
}

/// A text, or its lines.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Text {
    Whole(String),
    Lines(Vec<String>),
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Some(match Text::deserialize(deserializer)? {
        Text::Whole(text) => text,
        Text::Lines(lines) => lines.join(" "),
    }))
}

/// A scenario in one variant, with everything that stands around it.
pub(crate) struct Whole {
    pub(crate) name: String,
    pub(crate) variant: Option<String>,
    pub(crate) rule: String,
    pub(crate) row: Option<String>,
    pub(crate) runs: Runs,
    pub(crate) except: Vec<String>,
    pub(crate) presets: Vec<String>,
    pub(crate) organizations: Vec<OrganizationConfig>,
    pub(crate) proxies: Vec<ProxyConfig>,
    /// Its steps, filled.
    pub(crate) steps: Vec<Value>,
}

/// What was needed of which part.
#[derive(Default)]
struct Used(BTreeSet<(*const Part, String)>);

impl Used {
    fn add(&mut self, part: &Part, what: impl Into<String>) {
        self.0.insert((part, what.into()));
    }

    fn has(&self, part: &Part, what: &str) -> bool {
        self.0
            .contains(&(std::ptr::from_ref(part), what.to_owned()))
    }
}

impl Part {
    /// The scenarios of a file.
    pub(crate) fn wholes(&self) -> Result<Vec<Whole>, String> {
        let mut found = Vec::new();
        self.collect(&mut Vec::new(), &mut found, &mut Used::default())?;
        let mut names = BTreeSet::new();
        for whole in &found {
            if !names.insert((&whole.name, &whole.variant)) {
                return Err(format!("two scenarios are named `{}`", whole.name));
            }
        }
        Ok(found)
    }

    fn collect<'a>(
        &'a self,
        around: &mut Vec<&'a Part>,
        found: &mut Vec<Whole>,
        used: &mut Used,
    ) -> Result<(), String> {
        self.check_variants(around)?;
        if self.name.is_some() && !self.scenarios.is_empty() {
            return Err(format!("`{}` is a group: it has no name", self.title()));
        }
        around.push(self);
        if self.scenarios.is_empty() {
            for variant in variants(around) {
                found.push(Layers::of(around, variant).whole(variant, used)?);
            }
        }
        for scenario in &self.scenarios {
            scenario.collect(around, found, used)?;
        }
        around.pop();
        self.check_use(used)
    }

    /// A variant is no scenario; and one that no part around knows is a misspelt one, where there
    /// are variants around.
    fn check_variants(&self, around: &[&Part]) -> Result<(), String> {
        let mut variants = self.variants.iter().flat_map(BTreeMap::values);
        let is_scenario =
            |part: &Part| part.name.is_some() || part.row.is_some() || !part.scenarios.is_empty();
        if variants.any(|part| is_scenario(part) || part.variants.is_some()) {
            return Err(format!("`{}`: a variant is no scenario", self.title()));
        }
        let known = around.iter().rev().find_map(|part| part.variants.as_ref());
        let (Some(known), Some(variants)) = (known, &self.variants) else {
            return Ok(());
        };
        match variants.keys().find(|name| !known.contains_key(*name)) {
            Some(name) => Err(format!("`{}`: no variant is named `{name}`", self.title())),
            None => Ok(()),
        }
    }

    /// What is given is needed: some scenario within has it from here.
    fn check_use(&self, used: &Used) -> Result<(), String> {
        let title = self.title();
        let unused = |part: &Part| part.says().find(|what| !used.has(part, what));
        if let Some(what) = unused(self) {
            return Err(format!("`{title}`: nothing needs its `{what}`"));
        }
        for (name, part) in self.variants.iter().flatten() {
            if !used.has(part, PLAYED) {
                return Err(format!("`{title}`: `{name}` is never played"));
            }
            if let Some(what) = unused(part) {
                return Err(format!("`{title}`, `{name}`: nothing needs its `{what}`"));
            }
        }
        Ok(())
    }

    /// What it says that a part within may say otherwise.
    fn says(&self) -> impl Iterator<Item = String> {
        let said = [
            ("rule", self.rule.is_some()),
            ("runs", self.runs.is_some()),
            ("except", self.except.is_some()),
            ("presets", self.presets.is_some()),
            ("organizations", self.organizations.is_some()),
            ("proxies", self.proxies.is_some()),
            ("before", self.before.is_some()),
            ("steps", self.steps.is_some()),
            ("after", self.after.is_some()),
        ];
        let said = said.into_iter().filter(|(_, is_said)| *is_said);
        let said = said.map(|(what, _)| what.to_owned());
        let values = self.with.keys().map(|name| format!("with.{name}"));
        let blocks = self.blocks.keys().map(|name| format!("blocks.{name}"));
        said.chain(values).chain(blocks)
    }

    fn title(&self) -> &str {
        let title = self.name.as_deref().or(self.about.as_deref());
        title.unwrap_or("a group")
    }
}

/// In which variants the innermost of these parts is played; none: in no particular one.
fn variants<'a>(parts: &[&'a Part]) -> Vec<Option<&'a str>> {
    let variants = parts.iter().rev().find_map(|part| part.variants.as_ref());
    match variants {
        Some(variants) => variants.keys().map(|name| Some(name.as_str())).collect(),
        None => vec![None],
    }
}

/// What is noted of a variant's part that was played.
const PLAYED: &str = "";

type StepsOf = fn(&Part) -> Option<&Vec<Value>>;

/// Parts that say something of one scenario in one variant, the innermost last.
struct Layers<'a> {
    parts: Vec<&'a Part>,
}

impl<'a> Layers<'a> {
    fn of(around: &[&'a Part], variant: Option<&str>) -> Layers<'a> {
        let own = |part: &'a Part| part.variants.as_ref()?.get(variant?);
        let parts = around.iter();
        let parts = parts.flat_map(|part| std::iter::once(*part).chain(own(part)));
        Layers {
            parts: parts.collect(),
        }
    }

    /// What the innermost part says that says it.
    fn innermost<T>(
        &self,
        what: &str,
        used: &mut Used,
        of: impl Fn(&'a Part) -> Option<T>,
    ) -> Option<T> {
        let mut said = self.parts.iter().rev();
        said.find_map(|part| of(part).inspect(|_| used.add(part, what)))
    }

    fn whole(&self, variant: Option<&str>, used: &mut Used) -> Result<Whole, String> {
        let own = self.parts.iter().rev().find(|part| part.name.is_some());
        let own = own.ok_or("a scenario has no name")?;
        let name = own.name.clone().unwrap_or_default();
        let wrong = |what: &str| format!("`{name}` has no {what}");
        self.parts.iter().for_each(|part| used.add(part, PLAYED));
        let mut form = Vec::new();
        let lists: [(&str, StepsOf); 3] = [
            ("before", |part| part.before.as_ref()),
            ("steps", |part| part.steps.as_ref()),
            ("after", |part| part.after.as_ref()),
        ];
        for (list, of) in lists {
            let steps = self.innermost(list, used, of);
            let steps = steps.map_or(&[][..], Vec::as_slice);
            self.play(steps, &mut Vec::new(), &mut form, used)
                .map_err(|text| format!("`{name}`: {text}"))?;
        }
        if form.is_empty() {
            return Err(wrong("steps"));
        }
        let mut places = BTreeSet::new();
        form.iter().for_each(|step| places_of(step, &mut places));
        let mut with = Map::new();
        for place in places {
            let said = format!("with.{place}");
            if let Some(value) = self.innermost(&said, used, |part| part.with.get(&place)) {
                with.insert(place, value.clone());
            }
        }
        Ok(Whole {
            rule: self
                .innermost("rule", used, |part| part.rule.clone())
                .ok_or_else(|| wrong("rule"))?,
            runs: self
                .innermost("runs", used, |part| part.runs)
                .ok_or_else(|| wrong("`runs`"))?,
            row: own.row.clone(),
            except: self
                .innermost("except", used, |part| part.except.clone())
                .unwrap_or_default(),
            presets: self
                .innermost("presets", used, |part| part.presets.clone())
                .unwrap_or_else(|| vec!["dotnet".to_owned()]),
            organizations: self
                .innermost("organizations", used, |part| part.organizations.clone())
                .unwrap_or_else(|| vec![OrganizationConfig::new("contoso")]),
            proxies: self
                .innermost("proxies", used, |part| part.proxies.clone())
                .unwrap_or_default(),
            steps: form.iter().map(|step| fill(step, &with)).collect(),
            variant: variant.map(str::to_owned),
            name,
        })
    }

    /// Adds the steps with their blocks in the place of their names.
    fn play(
        &self,
        steps: &'a [Value],
        within: &mut Vec<&'a str>,
        form: &mut Vec<Value>,
        used: &mut Used,
    ) -> Result<(), String> {
        for step in steps {
            let Value::String(name) = step else {
                form.push(step.clone());
                continue;
            };
            let said = format!("blocks.{name}");
            let block = self.innermost(&said, used, |part| part.blocks.get(name));
            let block = block.ok_or_else(|| format!("no block is named `{name}`"))?;
            if within.contains(&name.as_str()) {
                return Err(format!("the block `{name}` is within itself"));
            }
            within.push(name);
            self.play(block, within, form, used)?;
            within.pop();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wholes(file: Value) -> Result<Vec<Whole>, String> {
        let part: Part = serde_json::from_value(file).map_err(|error| error.to_string())?;
        part.wholes()
    }

    fn played(file: Value) -> Vec<(String, Option<String>, String, Vec<Value>)> {
        let wholes = wholes(file).unwrap();
        let wholes = wholes.into_iter();
        wholes
            .map(|whole| (whole.name, whole.variant, whole.rule, whole.steps))
            .collect()
    }

    #[test]
    fn the_innermost_says_it() {
        let file = json!({"runs": "core", "rule": ["of", "the file"], "before": ["open"],
            "steps": [{"do": "a", "x": "${x}"}], "with": {"x": 1}, "blocks": {"open": [{"do": "open"}]},
            "scenarios": [
                {"name": "one"},
                {"rule": "of a group", "with": {"x": 2}, "scenarios": [
                    {"name": "two"},
                    {"name": "three", "rule": "its own", "before": [], "with": {"x": 3}}]},
                {"name": "four", "blocks": {"open": [{"do": "open", "url": "u"}]}, "steps": [{"do": "b"}]}]});
        let open = json!({"do": "open"});
        let expected = [
            (
                "one",
                "of the file",
                vec![open.clone(), json!({"do": "a", "x": 1})],
            ),
            ("two", "of a group", vec![open, json!({"do": "a", "x": 2})]),
            ("three", "its own", vec![json!({"do": "a", "x": 3})]),
            (
                "four",
                "of the file",
                vec![json!({"do": "open", "url": "u"}), json!({"do": "b"})],
            ),
        ];
        let expected = expected.map(|(name, rule, steps)| (name.into(), None, rule.into(), steps));
        assert_eq!(played(file), expected);
    }

    #[test]
    fn a_scenario_is_played_in_each_variant() {
        let file = json!({"runs": "core", "rule": "r", "steps": [{"do": "${verb}", "x": "${x}"}],
            "with": {"x": 0},
            "variants": {"a": {"with": {"verb": "va"}}, "b": {"with": {"verb": "vb", "x": 1}}},
            "scenarios": [
                {"name": "both"},
                {"name": "the second", "variants": {"b": {"rule": "its own"}}},
                {"name": "of its own", "with": {"x": 2},
                    "variants": {"a": {}, "b": {"with": {"verb": "other"}}}}]});
        let expected = [
            ("both", "a", "r", "va", 0),
            ("both", "b", "r", "vb", 1),
            ("the second", "b", "its own", "vb", 1),
            ("of its own", "a", "r", "va", 2),
            ("of its own", "b", "r", "other", 2),
        ];
        let expected = expected.map(|(name, variant, rule, verb, x)| {
            let steps = vec![json!({"do": verb, "x": x})];
            (name.into(), Some(variant.into()), rule.into(), steps)
        });
        assert_eq!(played(file), expected);
    }

    #[test]
    fn what_nobody_needs_or_knows_is_an_error() {
        let step = json!([{"do": "a", "x": "${x}"}]);
        for (file, said) in [
            (
                json!({"with": {"y": 1}, "scenarios": [{"name": "n", "steps": step}]}),
                "nothing needs its `with.y`",
            ),
            (
                json!({"with": {"x": 1}, "scenarios": [
                    {"name": "n", "steps": step, "with": {"x": 2}},
                    {"name": "m", "steps": step, "variants": {"a": {"with": {"x": 3}}, "b": {"with": {"x": 4}}}}]}),
                "nothing needs its `with.x`",
            ),
            (
                json!({"scenarios": [{"name": "n", "steps": step, "variants": {"a": {"with": {"y": 1}}}}]}),
                "`n`, `a`: nothing needs its `with.y`",
            ),
            (
                json!({"blocks": {"b": step}, "scenarios": [{"name": "n", "steps": step}]}),
                "nothing needs its `blocks.b`",
            ),
            (
                json!({"blocks": {"b": step}, "scenarios": [{"name": "n", "steps": ["b"], "blocks": {"b": step}}]}),
                "nothing needs its `blocks.b`",
            ),
            (
                json!({"before": step, "scenarios": [{"name": "n", "steps": step, "before": []}]}),
                "nothing needs its `before`",
            ),
            (
                json!({"presets": ["safe"], "scenarios": [{"name": "n", "steps": step, "presets": ["dotnet"]}]}),
                "nothing needs its `presets`",
            ),
            (
                json!({"variants": {"a": {}, "b": {}}, "scenarios": [
                    {"name": "n", "steps": step, "variants": {"a": {}}}]}),
                "`b` is never played",
            ),
            (
                json!({"scenarios": [{"name": "n", "steps": ["b"]}]}),
                "`n`: no block is named `b`",
            ),
            (
                json!({"blocks": {"b": ["c"], "c": ["b"]}, "scenarios": [{"name": "n", "steps": ["b"]}]}),
                "within itself",
            ),
            (
                json!({"variants": {"a": {}}, "scenarios": [
                    {"name": "n", "steps": step, "variants": {"b": {}}}]}),
                "`n`: no variant is named `b`",
            ),
            (
                json!({"variants": {"a": {"name": "b"}}, "scenarios": [{"name": "n", "steps": step}]}),
                "a variant is no scenario",
            ),
            (
                json!({"scenarios": [{"name": "g", "scenarios": [{"name": "n", "steps": step}]}]}),
                "`g` is a group",
            ),
            (json!({"scenarios": [{"name": "n"}]}), "`n` has no steps"),
            (json!({"scenarios": [{"steps": step}]}), "has no name"),
            (
                json!({"scenarios": [{"name": "n", "steps": step}, {"name": "n", "steps": step}]}),
                "two scenarios are named `n`",
            ),
        ] {
            let mut file = file;
            file["rule"] = "r".into();
            file["runs"] = "core".into();
            let error = wholes(file.clone()).err();
            let error = error.unwrap_or_else(|| panic!("{file}"));
            assert!(error.contains(said), "{error}");
        }
        for lacking in ["rule", "runs"] {
            let mut file =
                json!({"rule": "r", "runs": "core", "scenarios": [{"name": "n", "steps": step}]});
            file.as_object_mut().unwrap().remove(lacking);
            assert!(wholes(file).is_err(), "{lacking}");
        }
        assert!(wholes(json!({"stps": []})).is_err());
    }
}
