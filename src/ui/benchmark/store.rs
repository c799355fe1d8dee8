//! Runs of the benchmark as this browser keeps them: one IndexedDB database with one store of JSON texts, by the runs' ids.

use idb::{Database, DatabaseEvent, Factory, ObjectStoreParams, Query, TransactionMode};
use wasm_bindgen::JsValue;

use super::record::BenchmarkRun;

const DATABASE: &str = "rill-benchmarks";
const RUNS: &str = "runs";

/// Why the browser keeps nothing, in its words.
pub type Refused = String;

/// Every run that is kept, the oldest first. What cannot be read any more is left out, and kept.
pub async fn all() -> Result<Vec<BenchmarkRun>, Refused> {
    let texts = read().await.map_err(words)?;
    let mut runs: Vec<BenchmarkRun> =
        texts.into_iter().filter_map(|text| BenchmarkRun::read(&text.as_string()?).ok()).flatten().collect();
    runs.sort_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
    Ok(runs)
}

/// Keep a run, in place of an earlier one with its id.
pub async fn keep(run: &BenchmarkRun) -> Result<(), Refused> {
    let text = serde_json::to_string(run).map_err(|error| error.to_string())?;
    write(&run.id, Some(&text)).await.map_err(words)
}

/// Throw a run away.
pub async fn forget(id: &str) -> Result<(), Refused> {
    write(id, None).await.map_err(words)
}

fn words(error: idb::Error) -> Refused {
    error.to_string()
}

async fn open() -> Result<Database, idb::Error> {
    let mut request = Factory::new()?.open(DATABASE, Some(1))?;
    request.on_upgrade_needed(|event| {
        // A failure here makes the open request fail, which is where it is reported.
        if let Ok(database) = event.database() {
            let _ = database.create_object_store(RUNS, ObjectStoreParams::new());
        }
    });
    request.await
}

async fn read() -> Result<Vec<JsValue>, idb::Error> {
    let transaction = open().await?.transaction(&[RUNS], TransactionMode::ReadOnly)?;
    transaction.object_store(RUNS)?.get_all(None::<Query>, None)?.await
}

async fn write(id: &str, text: Option<&str>) -> Result<(), idb::Error> {
    let transaction = open().await?.transaction(&[RUNS], TransactionMode::ReadWrite)?;
    let store = transaction.object_store(RUNS)?;
    match text {
        Some(text) => drop(store.put(&text.into(), Some(&id.into()))?.await?),
        None => store.delete(JsValue::from_str(id))?.await?,
    }
    transaction.commit()?.await?;
    Ok(())
}
