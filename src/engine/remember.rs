//! A few small facts kept in this browser (what was measured), and the proof that it keeps anything at all.
//!
//! One IndexedDB database with one store of texts, apart from the models' own. A browser that keeps nothing (a private
//! window) only costs the next visit another measurement. Natively facts last as long as the process.

use super::check::Finding;

/// Facts by name. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// What was said in this session, kept or not.
    known: std::rc::Rc<std::cell::RefCell<std::collections::HashMap<String, String>>>,
}

impl Facts {
    /// The fact of that name.
    pub async fn get(&self, name: &str) -> Option<String> {
        let known = self.known.borrow().get(name).cloned();
        match known {
            Some(fact) => Some(fact),
            None => store::get(name).await.ok().flatten(),
        }
    }

    /// Keeps a fact, in this session at least.
    pub async fn put(&self, name: &str, fact: &str) {
        self.known.borrow_mut().insert(name.into(), fact.into());
        // Where the browser refuses, the next visit finds the fact out anew.
        let _ = store::put(name, fact).await;
    }

    /// Forgets everything.
    pub async fn forget(&self) {
        self.known.borrow_mut().clear();
        // What cannot be forgotten could not be kept either.
        let _ = store::clear().await;
    }
}

/// Writes, reads and deletes in the browser's storage, and asks how much it may keep.
pub async fn probe() -> Finding {
    store::probe().await
}

#[cfg(not(target_arch = "wasm32"))]
mod store {
    use super::Finding;

    pub async fn get(_name: &str) -> Result<Option<String>, String> {
        Ok(None)
    }

    pub async fn put(_name: &str, _fact: &str) -> Result<(), String> {
        Ok(())
    }

    pub async fn clear() -> Result<(), String> {
        Ok(())
    }

    pub async fn probe() -> Finding {
        Err("this is no browser".into())
    }
}

#[cfg(target_arch = "wasm32")]
mod store {
    use super::Finding;
    use idb::{Database, DatabaseEvent, Factory, ObjectStoreParams, Query, TransactionMode};
    use js_sys::{Function, Promise, Reflect, Uint8Array};
    use wasm_bindgen::{JsCast, JsValue};
    use wasm_bindgen_futures::JsFuture;

    const DATABASE: &str = "rill-facts";
    const FACTS: &str = "facts";
    /// Bytes that the probe writes: one piece of a small file.
    const PROBE_BYTES: usize = 1 << 16;

    async fn open() -> Result<Database, idb::Error> {
        let mut request = Factory::new()?.open(DATABASE, Some(1))?;
        request.on_upgrade_needed(|event| {
            // A failure here makes the open request fail, which is where it is reported.
            if let Ok(database) = event.database() {
                let _ = database.create_object_store(FACTS, ObjectStoreParams::new());
            }
        });
        request.await
    }

    async fn read(key: &str) -> Result<Option<JsValue>, idb::Error> {
        let transaction = open().await?.transaction(&[FACTS], TransactionMode::ReadOnly)?;
        transaction.object_store(FACTS)?.get(Query::Key(key.into()))?.await
    }

    async fn write(key: &str, value: &JsValue) -> Result<(), idb::Error> {
        let transaction = open().await?.transaction(&[FACTS], TransactionMode::ReadWrite)?;
        transaction.object_store(FACTS)?.put(value, Some(&key.into()))?.await?;
        transaction.commit()?.await?;
        Ok(())
    }

    async fn delete(key: &str) -> Result<(), idb::Error> {
        let transaction = open().await?.transaction(&[FACTS], TransactionMode::ReadWrite)?;
        transaction.object_store(FACTS)?.delete(JsValue::from_str(key))?.await?;
        transaction.commit()?.await?;
        Ok(())
    }

    pub async fn get(name: &str) -> Result<Option<String>, idb::Error> {
        Ok(read(name).await?.and_then(|value| value.as_string()))
    }

    pub async fn put(name: &str, fact: &str) -> Result<(), idb::Error> {
        write(name, &fact.into()).await
    }

    pub async fn clear() -> Result<(), idb::Error> {
        let transaction = open().await?.transaction(&[FACTS], TransactionMode::ReadWrite)?;
        transaction.object_store(FACTS)?.clear()?.await?;
        transaction.commit()?.await?;
        Ok(())
    }

    pub async fn probe() -> Finding {
        let bytes: Vec<u8> = (0..PROBE_BYTES).map(|i| i as u8).collect();
        let tried = async {
            write("probe", &Uint8Array::from(&bytes[..]).buffer()).await?;
            let back = read("probe").await?;
            delete("probe").await?;
            Ok::<_, idb::Error>((back, read("probe").await?))
        };
        let (back, left) = tried.await.map_err(|e| format!("the browser refused to keep 64 KiB: {e}"))?;
        let back = back.map(|value| Uint8Array::new(&value).to_vec());
        if back.as_ref() != Some(&bytes) {
            return Err("64 KiB were kept and came back changed".into());
        }
        if left.is_some() {
            return Err("64 KiB were kept and could not be deleted".into());
        }
        Ok(match quota().await {
            Some((used, allowed)) => {
                let (used, allowed) = (used / 1e6, allowed / 1e6);
                format!("64 KiB were kept, read back and deleted; {used:.0} of {allowed:.0} MB are in use")
            }
            None => "64 KiB were kept, read back and deleted; the browser does not say how much it allows".into(),
        })
    }

    /// Bytes used and allowed, where the browser says.
    async fn quota() -> Option<(f64, f64)> {
        let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).ok()?;
        let storage = Reflect::get(&navigator, &"storage".into()).ok().filter(JsValue::is_truthy)?;
        let estimate: Function = Reflect::get(&storage, &"estimate".into()).ok()?.dyn_into().ok()?;
        let promise: Promise = estimate.call0(&storage).ok()?.dyn_into().ok()?;
        let estimate = JsFuture::from(promise).await.ok()?;
        let part = |name: &str| Reflect::get(&estimate, &name.into()).ok()?.as_f64();
        Some((part("usage")?, part("quota")?))
    }
}
