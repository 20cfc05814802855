//! Reading a connector's configuration, so that an error names the key to blame.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{ConnectorError, hint};

/// Reads the configuration of `connector`; `null` is the empty one.
///
/// # Errors
/// A key that is unknown (the nearest is suggested), missing or of the wrong kind.
pub(crate) fn parse<T: DeserializeOwned>(connector: &'static str, value: &Value) -> Result<T, ConnectorError> {
    let empty = Map::new();
    let keys = match value {
        Value::Null => &empty,
        Value::Object(keys) => keys,
        other => {
            let problem = format!("its configuration is keys and values, like `{{ path: .. }}`, not `{other}`");
            return Err(ConnectorError::config(connector, "", problem));
        }
    };
    read(keys).map_err(|message| {
        let blamed = keys.keys().find(|key| blames::<T>(keys, key, &message));
        let (path, problem) = match blamed {
            Some(key) if message.starts_with("unknown field") => (key.as_str(), unknown(key, &message)),
            Some(key) => (key.as_str(), format!("`{key}`: {message}")),
            None => (missing(&message), format!("{message}; add it")),
        };
        ConnectorError::config(connector, path, problem)
    })
}

fn read<T: DeserializeOwned>(keys: &Map<String, Value>) -> Result<T, String> {
    T::deserialize(Value::Object(keys.clone())).map_err(|error| error.to_string())
}

/// Serde does not say which key it stumbled over: the one without which it does not stumble like this.
fn blames<T: DeserializeOwned>(keys: &Map<String, Value>, key: &str, message: &str) -> bool {
    let mut others = keys.clone();
    others.remove(key);
    !message.starts_with("missing field") && read::<T>(&others).err().as_deref() != Some(message)
}

/// Serde lists the keys that there are between backticks, the unknown one first.
fn unknown(key: &str, message: &str) -> String {
    let known: Vec<&str> = message.split('`').skip(1).step_by(2).skip(1).collect();
    let keys = if known.is_empty() { "it takes none".to_owned() } else { format!("there are: {}", known.join(", ")) };
    format!("unknown key `{key}`{}; {keys}", hint(key, &known))
}

fn missing(message: &str) -> &str {
    message.split('`').nth(1).unwrap_or("")
}
