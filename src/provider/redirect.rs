//! Redirects: the rules for following them, and the errors for the others.
//!
//! A redirect is followed only where method and body stay the same (307, 308; for a GET also 301
//! and 302) and the address is below the root of the same API. The token never reaches another
//! server.

use http::Method;
use reqwest::Url;

use super::Platform;
use super::http::{Request, Response};

/// The maximum number of redirects of a request.
pub(super) const MOST_REDIRECTS: usize = 5;

/// A redirect that is not followed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Elsewhere {
    /// The new address, without parts that may be secret.
    pub to: String,
    pub advice: String,
}

/// The target of a redirect.
pub(super) enum Redirect {
    /// The path below the API's root to send the same request to.
    Followed(String),
    Refused(Elsewhere),
}

impl Redirect {
    /// Interprets a 3xx response to a request; `None` where it names no location.
    pub(super) fn read(
        platform: Platform,
        api_url: &str,
        request: &Request,
        response: &Response,
    ) -> Option<Self> {
        let location = response.header("location").filter(|_| (300..400).contains(&response.status))?;
        let root = Url::parse(api_url).ok()?;
        let base = root.path().trim_end_matches('/').to_owned();
        let mut from = root.clone();
        let (path, query) =
            request.path.split_once('?').map_or((&*request.path, None), |(path, query)| (path, Some(query)));
        from.set_path(&format!("{base}{path}"));
        let Ok(mut to) = from.join(location) else {
            return Some(Self::Refused(elsewhere(platform, location.to_owned(), Why::Unreadable)));
        };
        if to.query().is_none() {
            to.set_query(query);
        }
        let keeps_its_method = match response.status {
            307 | 308 => true,
            301 | 302 => request.method == Method::GET,
            _ => false,
        };
        let below = to.path().strip_prefix(&base).filter(|rest| rest.starts_with('/'));
        let why = match below {
            _ if to.origin() != root.origin() => Why::OtherServer,
            Some(rest) if keeps_its_method => {
                let query = to.query().map(|query| format!("?{query}")).unwrap_or_default();
                return Some(Self::Followed(format!("{rest}{query}")));
            }
            _ => Why::OtherRequest,
        };
        Some(Self::Refused(elsewhere(platform, shown(to), why)))
    }

    /// The end of a chain of redirects that is too long, at a path below the API's root.
    pub(super) fn endless(platform: Platform, api_url: &str, path: &str) -> Elsewhere {
        let path = path.split('?').next().unwrap_or_default();
        elsewhere(platform, format!("{}{path}", api_url.trim_end_matches('/')), Why::Endless)
    }
}

/// The reason why a redirect is not followed.
#[derive(Clone, Copy)]
enum Why {
    OtherServer,
    OtherRequest,
    Endless,
    Unreadable,
}

fn elsewhere(platform: Platform, to: String, why: Why) -> Elsewhere {
    // The platform sets these variables by itself; GitHub does not let a workflow write them.
    let (api, job) = match platform {
        Platform::GitLab => ("CI_API_V4_URL", "pipeline"),
        Platform::GitHub | Platform::None => ("GITHUB_API_URL", "workflow"),
    };
    let advice = match why {
        Why::OtherServer => format!(
            "Nothing is sent to another server, least of all the token. If the API has moved there, {api} is what the \
             platform's own administrators correct: its jobs get it from there"
        ),
        Why::OtherRequest => format!(
            "That is not followed: another request would arrive there. If the repository has moved or has a new name, \
             update the remote, and what the {job} checks out; the platform tells new jobs the new name itself"
        ),
        Why::Endless => format!("It was sent on {MOST_REDIRECTS} times. Is {api} the address of the API?"),
        Why::Unreadable => format!("That is no address. Is {api} the address of the API?"),
    };
    Elsewhere { to, advice }
}

/// An address in a form that is safe to print.
fn shown(mut url: Url) -> String {
    url.set_query(None);
    url.set_fragment(None);
    // Addresses without a host have no user either.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url.to_string()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use serde_json::json;

    use super::*;
    use crate::provider::Capability;

    const API: &str = "https://git.example.com/api/v3";

    fn read(method: &Method, status: u16, location: &str) -> Option<Result<String, String>> {
        let path = "/repos/acme/shop/issues?page=2".to_owned();
        let request = match *method {
            Method::GET => Request::get(Capability::Comments, path),
            _ => Request::create(Capability::Comments, path, json!({})),
        };
        let mut headers = HeaderMap::new();
        headers.insert("location", HeaderValue::from_str(location).unwrap());
        let response = Response { status, headers, body: String::new() };
        Some(match Redirect::read(Platform::GitHub, API, &request, &response)? {
            Redirect::Followed(path) => Ok(path),
            Redirect::Refused(elsewhere) => Err(format!("{}: {}", elsewhere.to, elsewhere.advice)),
        })
    }

    #[test]
    fn a_request_goes_on_as_it_is_below_the_same_root_alone() {
        let moved = "https://git.example.com/api/v3/repositories/7/issues?page=2";
        let followed = Some(Ok("/repositories/7/issues?page=2".to_owned()));
        for (method, status, goes_on) in [
            (Method::GET, 301, true),
            (Method::GET, 302, true),
            (Method::GET, 303, false),
            (Method::GET, 307, true),
            (Method::GET, 308, true),
            (Method::POST, 301, false),
            (Method::POST, 302, false),
            (Method::POST, 303, false),
            (Method::POST, 307, true),
            (Method::POST, 308, true),
        ] {
            let read = read(&method, status, moved);
            assert_eq!(read == followed, goes_on, "{method} {status}: {read:?}");
            assert!(goes_on || read.unwrap().is_err(), "{method} {status}");
        }
        // Relative, and without the query.
        assert_eq!(read(&Method::GET, 301, "/api/v3/repositories/7/issues"), followed);
        assert_eq!(read(&Method::GET, 200, moved), None);
    }

    #[test]
    fn nothing_goes_to_another_server_or_out_of_the_api() {
        for location in [
            "http://git.example.com/api/v3/x",
            "https://git.example.com:8443/api/v3/x",
            "https://evil.example.com/api/v3/x",
            "//evil.example.com/api/v3/x",
            "https://git.example.com.evil.example.com/api/v3/x",
        ] {
            let said = read(&Method::GET, 307, location).unwrap().unwrap_err();
            assert!(said.contains("least of all the token"), "{location}: {said}");
        }
        for location in ["/login", "/api/v3x/y", "/api/v3/../../login"] {
            let said = read(&Method::GET, 302, location).unwrap().unwrap_err();
            assert!(said.starts_with("https://git.example.com/"), "{location}: {said}");
        }
        let said = read(&Method::GET, 302, "https://a:b@evil.example.com/x?token=c#d").unwrap().unwrap_err();
        assert!(said.starts_with("https://evil.example.com/x: "), "{said}");
    }
}
