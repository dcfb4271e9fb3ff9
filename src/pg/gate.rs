//! Who may ask: with a token whoever proves to know it (SCRAM-SHA-256), else whoever reaches this machine's own address.

use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion_postgres::pgwire::api::auth::sasl::SASLAuthStartupHandler;
use datafusion_postgres::pgwire::api::auth::sasl::scram::{SCRAM_ITERATIONS, ScramAuth, gen_salted_password};
use datafusion_postgres::pgwire::api::auth::{
    AuthSource, LoginInfo, Password, ServerParameterProvider, StartupHandler, finish_authentication,
    protocol_negotiation, save_startup_parameters_to_metadata,
};
use datafusion_postgres::pgwire::api::{ClientInfo, ConnectionHandle, PidSecretKeyGenerator};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::startup::Startup;
use datafusion_postgres::pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use futures::Sink;

use super::fault::{self, IntoError};
use super::variables::Variables;
use super::{Server, variables};

/// The token as SCRAM compares it; the token itself is not kept.
pub(super) struct Secret {
    salt: [u8; 16],
    salted: Vec<u8>,
}

impl Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    pub(super) fn new(token: &str) -> Result<Self, getrandom::Error> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)?;
        Ok(Self { salt, salted: gen_salted_password(token, &salt, SCRAM_ITERATIONS) })
    }
}

/// The same password for every user.
#[derive(Debug)]
struct AnyUser(Arc<Secret>);

#[async_trait]
impl AuthSource for AnyUser {
    async fn get_password(&self, _: &LoginInfo) -> PgWireResult<Password> {
        Ok(Password::new(Some(self.0.salt.to_vec()), self.0.salted.clone()))
    }
}

/// What a client is told of the server.
#[derive(Debug)]
struct Told;

impl ServerParameterProvider for Told {
    fn server_parameters<C: ClientInfo>(&self, client: &C) -> Option<std::collections::HashMap<String, String>> {
        let mut variables = Variables::default();
        for (name, value) in variables::wanted(client.metadata()) {
            // What cannot be was refused before.
            let _ = variables.greet(&name, &value);
        }
        variables.is_of(client.metadata().get("user").map_or("", String::as_str));
        Some(variables.reported().collect())
    }
}

/// The gate of one connection.
pub(super) struct Gate {
    server: Arc<Server>,
    scram: Option<SASLAuthStartupHandler<Told>>,
}

impl Gate {
    pub(super) fn new(server: &Arc<Server>) -> Self {
        let scram = server.secret.as_ref().map(|secret| {
            let source = Arc::new(AnyUser(Arc::clone(secret)));
            SASLAuthStartupHandler::new(Arc::new(Told))
                .with_scram(ScramAuth::new(source))
                .with_connection_manager(Arc::clone(&server.connections))
                .with_pid_secret_key_generator(Arc::clone(&server.keys) as Arc<dyn PidSecretKeyGenerator>)
        });
        Self { server: Arc::clone(server), scram }
    }
}

/// Refuses a client that wants of a connection what there is not.
fn check(startup: &Startup) -> PgWireResult<()> {
    for (name, value) in variables::wanted(&startup.parameters) {
        if name.starts_with("journeyql.") {
            continue;
        }
        if let Err(error) = Variables::default().greet(&name, &value) {
            let mut info = ErrorInfo::from(error);
            "FATAL".clone_into(&mut info.severity);
            return Err(info.into_error());
        }
    }
    Ok(())
}

#[async_trait]
impl StartupHandler for Gate {
    async fn on_startup<C>(&self, client: &mut C, message: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if let PgWireFrontendMessage::Startup(startup) = &message {
            check(startup)?;
        }
        match (&message, &self.scram) {
            (PgWireFrontendMessage::Startup(_) | PgWireFrontendMessage::PasswordMessageFamily(_), Some(scram)) => {
                scram.on_startup(client, message).await
            }
            (PgWireFrontendMessage::Startup(startup), None) => {
                protocol_negotiation(client, startup).await?;
                save_startup_parameters_to_metadata(client, startup);
                let (pid, key) = self.server.keys.generate(client);
                client.set_pid_and_secret_key(pid, key.clone());
                let (handle, guard) = self.server.connections.register(pid, key);
                client.session_extensions().insert::<Arc<ConnectionHandle>>(handle);
                client.session_extensions().insert(guard);
                finish_authentication(client, &Told).await
            }
            _ => Err(fault::fatal("08P01", "who asks is not known yet: the password comes first").into_error()),
        }
    }
}
