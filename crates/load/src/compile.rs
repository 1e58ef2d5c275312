//! A plan made ready to run: names looked up once, everything that never changes built once.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use http_body_util::Full;
use uuid::Uuid;

use crate::template::Part;
use crate::{Captured, Error, Path, Plan, StatusSet, Step, Targets, Template};

/// The steps of a plan, with names replaced by numbers.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) steps: Vec<Compiled>,
    /// The names of captured values, by slot.
    pub(crate) captured: Arc<[String]>,
    /// The names of the targets in use.
    pub(crate) targets: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) weight: f64,
    pub(crate) url: Text,
    pub(crate) captures: Vec<(usize, Path)>,
    pub(crate) timeout: Duration,
    pub(crate) success: StatusSet,
    /// The captured values without which the step is not run.
    needs: Vec<usize>,
    method: Method,
    headers_fixed: HeaderMap,
    headers: Vec<(HeaderName, Text)>,
    body: Text,
}

/// A [`Template`] with names replaced by numbers; one that never changes is rendered already.
#[derive(Debug)]
pub(crate) enum Text {
    Fixed(Bytes),
    Pieces(Vec<Piece>),
}

#[derive(Debug)]
pub(crate) enum Piece {
    Text(String),
    Uuid,
    Sequence,
    Captured(usize),
    Target(usize),
}

/// What a template is filled with.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) id: Uuid,
    pub(crate) sequence: u64,
    pub(crate) captured: &'a Captured,
    pub(crate) targets: &'a [Option<Arc<str>>],
}

/// Checks `plan` and makes it ready.
pub(crate) fn compile(plan: &Plan, targets: &Targets) -> Result<Scenario, Error> {
    for (name, bound) in [("connections_max", plan.connections_max), ("in_flight_max", plan.in_flight_max)] {
        if bound == 0 {
            return Err(Error::ZeroBound(name));
        }
    }
    if plan.steps.is_empty() {
        return Err(Error::NoSteps);
    }
    if plan.schedule().next().is_none() {
        return Err(Error::NoArrivals);
    }
    let mut names = Names { captured: Vec::new(), targets: Vec::new(), given: targets };
    let steps = plan.steps.iter().map(|step| names.step(step)).collect::<Result<_, _>>()?;
    Ok(Scenario { steps, captured: names.captured.into(), targets: names.targets })
}

impl Compiled {
    /// Says whether all captured values that the step uses are there.
    pub(crate) fn can_run(&self, captured: &Captured) -> bool {
        self.needs.iter().all(|slot| captured.slot(*slot).is_some())
    }

    /// Forms the request; none where a target is missing or a value does not fit into a header.
    pub(crate) fn request(
        &self,
        uri: Uri,
        host: HeaderValue,
        scope: Scope<'_>,
    ) -> Option<Request<Full<Bytes>>> {
        let mut headers = self.headers_fixed.clone();
        headers.insert(http::header::HOST, host);
        for (name, text) in &self.headers {
            headers.append(name, HeaderValue::from_maybe_shared(text.render(scope)?).ok()?);
        }
        let mut request = Request::new(Full::new(self.body.render(scope)?));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Some(request)
    }
}

impl Text {
    /// Says whether the text depends on nothing but targets.
    pub(crate) fn is_fixed(&self) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Pieces(pieces) => pieces.iter().all(|p| matches!(p, Piece::Text(_) | Piece::Target(_))),
        }
    }

    /// Fills the text in; none where a value is missing.
    pub(crate) fn render(&self, scope: Scope<'_>) -> Option<Bytes> {
        match self {
            Self::Fixed(bytes) => Some(bytes.clone()),
            Self::Pieces(pieces) => fill(pieces, scope, |out, value| out.push_str(value)).map(Bytes::from),
        }
    }

    /// Fills an address in: captured values are percent-encoded.
    pub(crate) fn render_url(&self, scope: Scope<'_>) -> Option<Bytes> {
        match self {
            Self::Fixed(bytes) => Some(bytes.clone()),
            Self::Pieces(pieces) => fill(pieces, scope, percent_encode).map(Bytes::from),
        }
    }
}

fn fill(pieces: &[Piece], scope: Scope<'_>, captured: impl Fn(&mut String, &str)) -> Option<String> {
    let mut out = String::with_capacity(128);
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Uuid => out.push_str(scope.id.hyphenated().encode_lower(&mut Uuid::encode_buffer())),
            Piece::Sequence => write!(out, "{}", scope.sequence).expect("writing to a string cannot fail"),
            Piece::Captured(slot) => captured(&mut out, scope.captured.slot(*slot)?),
            Piece::Target(index) => out.push_str(scope.targets[*index].as_deref()?),
        }
    }
    Some(out)
}

/// Encodes all but the unreserved characters of RFC 3986.
fn percent_encode(out: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            write!(out, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
}

/// The names known so far, while steps are read in their order.
struct Names<'a> {
    captured: Vec<String>,
    targets: Vec<String>,
    given: &'a Targets,
}

impl Names<'_> {
    fn step(&mut self, step: &Step) -> Result<Compiled, Error> {
        let url = self.text(step, &step.url)?;
        self.check_url(step, &url)?;
        let mut headers_fixed = HeaderMap::new();
        let mut headers = Vec::new();
        for (name, template) in &step.headers {
            let error = || Error::Header { step: step.name.clone(), header: name.clone() };
            let header = HeaderName::try_from(name.as_str()).map_err(|_| error())?;
            match self.text(step, template)? {
                Text::Fixed(value) => {
                    headers_fixed.append(header, HeaderValue::from_maybe_shared(value).map_err(|_| error())?);
                }
                text => headers.push((header, text)),
            }
        }
        let body = match &step.body {
            Some(template) => self.text(step, template)?,
            None => Text::Fixed(Bytes::new()),
        };
        let has_type =
            headers_fixed.contains_key(CONTENT_TYPE) || headers.iter().any(|(n, _)| *n == CONTENT_TYPE);
        if step.body.is_some() && !has_type {
            headers_fixed.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let texts = [&url, &body].into_iter().chain(headers.iter().map(|(_, text)| text));
        let needs: HashSet<usize> = texts.flat_map(captured_in).collect();
        // What the step itself captures is known to the steps behind it only.
        let captures = step.capture.iter().map(|c| (index_of(&mut self.captured, &c.name), c.path.clone()));
        Ok(Compiled {
            weight: step.weight.ratio(),
            captures: captures.collect(),
            timeout: step.timeout,
            success: step.success.clone(),
            needs: needs.into_iter().collect(),
            method: step.method.clone(),
            url,
            headers_fixed,
            headers,
            body,
        })
    }

    fn text(&mut self, step: &Step, template: &Template) -> Result<Text, Error> {
        let piece = |part: &Part| {
            Ok(match part {
                Part::Text(text) => Piece::Text(text.clone()),
                Part::Uuid => Piece::Uuid,
                Part::Sequence => Piece::Sequence,
                Part::Name(name) => match self.captured.iter().position(|known| **known == **name) {
                    Some(slot) => Piece::Captured(slot),
                    None if self.given.get(name).is_some() => {
                        Piece::Target(index_of(&mut self.targets, name))
                    }
                    None => {
                        return Err(Error::UnknownName { step: step.name.clone(), name: name.to_string() });
                    }
                },
            })
        };
        let mut pieces = template.parts().iter().map(piece).collect::<Result<Vec<_>, _>>()?;
        Ok(match pieces.as_mut_slice() {
            [] => Text::Fixed(Bytes::new()),
            [Piece::Text(text)] => Text::Fixed(std::mem::take(text).into()),
            _ => Text::Pieces(pieces),
        })
    }

    /// Refuses an address that can be seen to be wrong; one that starts with a captured value is seen at run time.
    fn check_url(&self, step: &Step, url: &Text) -> Result<(), Error> {
        let start = match url {
            Text::Fixed(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Text::Pieces(pieces) => {
                let known = pieces.iter().map_while(|piece| match piece {
                    Piece::Text(text) => Some(text.clone()),
                    Piece::Target(index) => self.given.get(&self.targets[*index]).map(|v| v.to_string()),
                    _ => None,
                });
                known.collect()
            }
        };
        let starts_captured = matches!(url, Text::Pieces(p) if matches!(p[0], Piece::Captured(_)));
        let good =
            start.strip_prefix("http://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
        if good || starts_captured { Ok(()) } else { Err(Error::Url { step: step.name.clone(), url: start }) }
    }
}

fn captured_in(text: &Text) -> impl Iterator<Item = usize> {
    let pieces = match text {
        Text::Fixed(_) => &[],
        Text::Pieces(pieces) => pieces.as_slice(),
    };
    pieces.iter().filter_map(|piece| match piece {
        Piece::Captured(slot) => Some(*slot),
        _ => None,
    })
}

fn index_of(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

#[cfg(test)]
mod tests {
    use steadfast_base::units::Rate;

    use super::*;
    use crate::Capture;

    fn plan(steps: Vec<Step>) -> Plan {
        Plan::new(Rate::per_second_of(1), Duration::from_secs(1), steps)
    }

    fn get(url: &str) -> Step {
        Step::new("get", Method::GET, url.parse().expect("a template"))
    }

    fn targets() -> Targets {
        Targets::from([("a.url", "http://127.0.0.1:1")])
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        let check = |steps| plan(steps).check(&targets()).expect_err("not to be run").to_string();
        assert!(check(vec![]).contains("no step"));
        assert!(check(vec![get("https://x/")]).contains("https://x/"));
        assert!(check(vec![get("http:///x")]).contains("http:///x"));
        assert!(check(vec![get("${b.url}/")]).contains("`${b.url}`"));
        let mut own = get("${a.url}/${id}");
        own.capture.push(Capture { name: "id".to_owned(), path: "$.id".parse().expect("a path") });
        assert!(check(vec![own.clone()]).contains("`${id}`"), "a step cannot use what it captures itself");
        let mut header = get("${a.url}");
        header.headers.push(("x y".to_owned(), Template::default()));
        assert!(check(vec![header]).contains("`x y`"));
        let none = Plan { arrivals: vec![], ..plan(vec![get("${a.url}")]) };
        assert!(matches!(none.check(&targets()), Err(Error::NoArrivals)));
        let zero = Plan { in_flight_max: 0, ..plan(vec![get("${a.url}")]) };
        assert!(matches!(zero.check(&targets()), Err(Error::ZeroBound("in_flight_max"))));
    }

    #[test]
    fn a_request_is_filled_in() {
        let mut first = get("${a.url}/");
        first.capture.push(Capture { name: "id".to_owned(), path: "$.id".parse().expect("a path") });
        let mut step = get("${a.url}/x/${id}?n=${seq}");
        step.headers.push(("k".to_owned(), "${uuid}".parse().expect("a template")));
        step.body = Some(r#"{"id": "${id}"}"#.parse().expect("a template"));
        let scenario = compile(&plan(vec![first, step]), &targets()).expect("a good plan");
        let mut captured = Captured::default();
        assert!(!scenario.steps[1].can_run(&captured));
        captured.set(&scenario.captured, 0, "a/b é".to_owned());
        assert!(scenario.steps[1].can_run(&captured));
        let values = [Some("http://h".into())];
        let scope = Scope { id: Uuid::from_u128(1), sequence: 7, captured: &captured, targets: &values };
        let url = scenario.steps[1].url.render_url(scope).expect("all is known");
        assert_eq!(url, "http://h/x/a%2Fb%20%C3%A9?n=7");
        let request = scenario.steps[1]
            .request(Uri::from_static("/"), HeaderValue::from_static("h"), scope)
            .expect("all is known");
        assert_eq!(request.headers()["k"], "00000000-0000-0000-0000-000000000001");
        assert_eq!(request.headers()[CONTENT_TYPE], "application/json");
        assert_eq!(
            format!("{:?}", request.body()),
            format!("{:?}", Full::new(Bytes::from(r#"{"id": "a/b é"}"#)))
        );
    }
}
