//! Small dispatches that prove what an adapter says of itself: 16-bit floats, timestamps, subgroups. Each is run and its
//! result is checked; a feature that is reported but does not work counts as missing.

use super::device::Gpu;
use crate::engine::check::Finding;
use crate::engine::models::cards::LARGEST_TENSOR;
use crate::engine::{Error, Result};

/// `y = x * x + 0.5`, stored and computed in f16.
const F16: &str = "enable f16;
@group(0) @binding(0) var<storage, read> x: array<f16>;
@group(0) @binding(1) var<storage, read_write> y: array<f16>;
@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) id: vec3u) {
    y[id.x] = x[id.x] * x[id.x] + f16(0.5);
}";

/// Something that takes a moment: 64 steps for each of 256 elements.
const TIMED: &str = "@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
    var sum = 0.0;
    for (var i = 0u; i < 64u; i++) { sum += x[(id.x + i) % 256u]; }
    y[id.x] = sum;
}";

/// For each thread: the sum over its subgroup, its size, its place in it, and the value of a neighbour's neighbour.
const SUBGROUPS: &str = "@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<u32>>;
@compute @workgroup_size(64) fn main(
    @builtin(local_invocation_index) i: u32,
    @builtin(subgroup_size) size: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    y[i] = vec4<u32>(subgroupAdd(x[i]), size, lane, subgroupShuffleXor(x[i], 2u));
}";

impl Gpu {
    /// Arithmetic and storage in f16.
    pub async fn probe_f16(&self) -> Finding {
        if !self.caps.f16 {
            return Err("the adapter has no shader-f16".into());
        }
        let x: Vec<half::f16> = (0..16).map(|i| half::f16::from_f32(f32::from(i as u8) * 0.25)).collect();
        let ran = self.run_probe("f16 probe", F16, bytemuck::cast_slice(&x), 32, 1, None).await;
        let y: Vec<half::f16> = bytemuck::pod_collect_to_vec(&ran.map_err(|e| e.to_string())?);
        match x.iter().zip(&y).find(|(x, y)| y.to_f32() != x.to_f32() * x.to_f32() + 0.5) {
            None => Ok("16 values were squared in 16 bits and came out right".into()),
            Some((x, y)) => Err(format!("the adapter says shader-f16, but {x} squared and a half came out as {y}")),
        }
    }

    /// Times of a dispatch as the GPU itself sees them.
    pub async fn probe_timestamps(&self) -> Finding {
        if !self.has_timestamps {
            return Err("the adapter has no timestamp-query".into());
        }
        let queries = self.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("timestamp probe"),
            ty: wgpu::QueryType::Timestamp,
            count: 2,
        });
        let x: Vec<f32> = (0..256u16).map(f32::from).collect();
        let ran = self.run_probe("timestamp probe", TIMED, bytemuck::cast_slice(&x), 1024, 4, Some(&queries)).await;
        queries.destroy();
        let stamps: Vec<u64> = bytemuck::pod_collect_to_vec(&ran.map_err(|e| e.to_string())?);
        match stamps[..] {
            [begin, end] if end > begin => {
                let us = (end - begin) as f64 * f64::from(self.queue.get_timestamp_period()) / 1e3;
                Ok(format!("a dispatch was timed by the GPU itself: {us:.0} µs"))
            }
            // Browsers round times to 100 µs, so that a page cannot spy with them.
            [begin, end] if end == begin && end > 0 => {
                Ok("a dispatch was timed by the GPU itself: shorter than the browser's step".into())
            }
            _ => Err(format!("the adapter says timestamp-query, but a dispatch was timed as {stamps:?}")),
        }
    }

    /// Operations across the threads of a subgroup, in the form in which kernels use them: its threads are neighbours.
    pub async fn probe_subgroups(&self) -> Finding {
        if self.least_subgroup.is_none() {
            return Err("the adapter has no subgroups".into());
        }
        let x: Vec<u32> = (0..64).collect();
        let wgsl =
            if cfg!(target_arch = "wasm32") { format!("enable subgroups;\n{SUBGROUPS}") } else { SUBGROUPS.into() };
        let ran = self.run_probe("subgroup probe", &wgsl, bytemuck::cast_slice(&x), 1024, 1, None).await;
        subgroup_finding(&bytemuck::pod_collect_to_vec(&ran.map_err(|e| e.to_string())?))
    }

    /// What the device allows, where a model or a kernel of Rill depends on it.
    pub fn probe_limits(&self) -> Finding {
        let (given, least) = (self.device.limits(), wgpu::Limits::default());
        let words = format!(
            "a buffer may have {} MiB, a binding {} MiB, a workgroup {} invocations and {} KiB of memory",
            given.max_buffer_size >> 20,
            given.max_storage_buffer_binding_size >> 20,
            given.max_compute_invocations_per_workgroup,
            given.max_compute_workgroup_storage_size >> 10,
        );
        let is_enough = given.max_storage_buffer_binding_size >= least.max_storage_buffer_binding_size
            && given.max_storage_buffers_per_shader_stage >= least.max_storage_buffers_per_shader_stage
            && given.max_compute_invocations_per_workgroup >= least.max_compute_invocations_per_workgroup
            && given.max_compute_workgroup_storage_size >= least.max_compute_workgroup_storage_size;
        if is_enough {
            let (what, bytes) = LARGEST_TENSOR;
            let fits = if bytes <= self.caps.max_binding_bytes { "fits" } else { "is divided" };
            Ok(format!("{words}; the largest tensor on offer, {what} of {} MiB, {fits}", bytes >> 20))
        } else {
            Err(format!("{words}: less than the specification promises, which Rill's kernels need"))
        }
    }

    /// Runs a shader over `input` and gives what it wrote into `n_output` bytes, or the two timestamps of its pass.
    async fn run_probe(
        &self,
        label: &'static str,
        wgsl: &str,
        input: &[u8],
        n_output: u64,
        workgroups: u32,
        timestamps: Option<&wgpu::QuerySet>,
    ) -> Result<Vec<u8>> {
        let refused = |e: wgpu::Error| Error::Gpu { label: label.into(), message: e.to_string() };
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let buffer = |size: u64, usage| {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage,
                mapped_at_creation: false,
            })
        };
        use wgpu::BufferUsages as Usage;
        let x = buffer(input.len() as u64, Usage::STORAGE | Usage::COPY_DST);
        let y = buffer(n_output, Usage::STORAGE | Usage::COPY_SRC);
        let n_read = if timestamps.is_some() { 16 } else { n_output };
        let stamps = buffer(256, Usage::QUERY_RESOLVE | Usage::COPY_SRC);
        let staging = buffer(n_read, Usage::MAP_READ | Usage::COPY_DST);
        self.queue.write_buffer(&x, 0, input);
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(label),
            source: wgpu::ShaderSource::Wgsl(wgsl.into()),
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(label),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: Default::default(),
            cache: None,
        });
        let bind_group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(label),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: x.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: y.as_entire_binding() },
            ],
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        {
            let timestamp_writes = timestamps.map(|query_set| wgpu::ComputePassTimestampWrites {
                query_set,
                beginning_of_pass_write_index: Some(0),
                end_of_pass_write_index: Some(1),
            });
            let mut pass =
                encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some(label), timestamp_writes });
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &bind_group, &[]);
            pass.dispatch_workgroups(workgroups, 1, 1);
        }
        if let Some(queries) = timestamps {
            encoder.resolve_query_set(queries, 0..2, &stamps, 0);
            encoder.copy_buffer_to_buffer(&stamps, 0, &staging, 0, 16);
        } else {
            encoder.copy_buffer_to_buffer(&y, 0, &staging, 0, n_output);
        }
        self.queue.submit([encoder.finish()]);
        let (done, mapped) = futures_channel::oneshot::channel();
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            let _ = done.send(result);
        });
        let scope = scope.pop();
        if let Some(error) = scope.await {
            return Err(refused(error));
        }
        let failed = |message: String| Error::Gpu { label: label.into(), message };
        let mapped = self.wait(mapped).await?.map_err(|_| failed("the buffer was dropped".into()))?;
        mapped.map_err(|e| failed(e.to_string()))?;
        let bytes = staging.get_mapped_range(..).map_err(|e| failed(e.to_string()))?.to_vec();
        for buffer in [x, y, stamps, staging] {
            buffer.destroy();
        }
        Ok(bytes)
    }
}

/// Judges what each of 64 threads found, where thread i put in i: the sum over its subgroup, its size, its place in it, and what
/// came from the thread whose place differs in the second bit.
fn subgroup_finding(found: &[[u32; 4]]) -> Finding {
    let size = found.first().map_or(0, |first| first[1]);
    if found.len() != 64 || !size.is_power_of_two() || !(4..=64).contains(&size) {
        return Err(format!("the adapter says subgroups, but their size came out as {size}"));
    }
    for (i, &got) in (0u32..).zip(found) {
        let first = i / size * size;
        let expected = [(first..first + size).sum(), size, i - first, i ^ 2];
        if got != expected {
            return Err(format!(
                "the adapter says subgroups, but thread {i} found {got:?} (sum, size, place, neighbour), expected {expected:?}"
            ));
        }
    }
    Ok(format!("sums over subgroups of {size} threads, and values of neighbours, came out right"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subgroup_sums_are_believed_only_where_they_are_right() {
        let right: Vec<_> = (0..64u32).map(|i| [(i / 8 * 8..i / 8 * 8 + 8).sum(), 8, i % 8, i ^ 2]).collect();
        assert!(subgroup_finding(&right).is_ok());
        let alone: Vec<_> = (0..64u32).map(|i| [i, 8, i % 8, i ^ 2]).collect();
        assert!(subgroup_finding(&alone).is_err_and(|reason| reason.contains("expected")));
        // Threads that are no neighbours: even and odd ones.
        let apart: Vec<_> = (0..64u32).map(|i| [(0..64).filter(|j| j % 2 == i % 2).sum(), 32, i / 2, i ^ 4]).collect();
        assert!(subgroup_finding(&apart).is_err());
        assert!(subgroup_finding(&[]).is_err());
    }
}
