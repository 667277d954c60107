//! The settings of the identity provider that people sign in at on the page of the API.

use billwire_api::SignIn;

use super::Settings;
use crate::sign_in::protected;

impl Settings {
    /// Where people sign in on the page of the API, if they do.
    ///
    /// # Errors
    /// When the issuer is no URL that a browser may send a token to, or one of issuer and client is missing.
    pub fn sign_in(&self) -> Result<Option<SignIn>, String> {
        match (&self.oidc_issuer, &self.oidc_client_id) {
            (None, None) => Ok(None),
            (Some(issuer), Some(client_id)) => {
                let origin = protected("BILLWIRE_OIDC_ISSUER", issuer)?.origin().ascii_serialization();
                let (client_id, resource) = (client_id.clone(), self.oidc_resource.clone());
                Ok(Some(SignIn { issuer: issuer.clone(), origin, client_id, resource }))
            }
            _ => Err("BILLWIRE_OIDC_ISSUER and BILLWIRE_OIDC_CLIENT_ID must be set together".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuer_and_client_are_given_together_and_the_page_may_call_the_issuers_host() {
        let settings = |issuer: Option<&str>, client_id: Option<&str>| Settings {
            oidc_issuer: issuer.map(str::to_owned),
            oidc_client_id: client_id.map(str::to_owned),
            ..Settings::default()
        };
        assert_eq!(settings(None, None).sign_in(), Ok(None));
        let issuer = "https://login.example.com/realms/staff";
        let both = settings(Some(issuer), Some("docs")).sign_in().expect("valid").expect("there");
        assert_eq!((both.issuer.as_str(), both.origin.as_str()), (issuer, "https://login.example.com"));
        for (issuer, client_id) in [(Some(issuer), None), (None, Some("docs")), (Some("http://login.example.com"), Some("docs"))] {
            assert!(settings(issuer, client_id).sign_in().is_err(), "{issuer:?} {client_id:?}");
        }
    }
}
