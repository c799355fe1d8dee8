//! Reader of CTranslate2's model.bin, binary versions 4 to 6: named variables and aliases between names. Little-endian:
//! version u32, spec name, revision u32, count u32, then per variable name, rank u8, dims u32, dtype u8, byte count u32,
//! data; then alias count u32 and pairs of names. A name is its length u16 with the closing NUL, and the bytes.
//! (CTranslate2, python/ctranslate2/specs/model_spec.py, `_serialize`.)

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

/// Element types, by CTranslate2's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    F32,
    I8,
    I16,
    I32,
    F16,
}

impl Dtype {
    fn from_number(number: u8) -> Result<Self> {
        Ok(match number {
            0 => Self::F32,
            1 => Self::I8,
            2 => Self::I16,
            3 => Self::I32,
            4 => Self::F16,
            other => bail!("element type {other} is not known"),
        })
    }

    fn size(self) -> usize {
        match self {
            Self::I8 => 1,
            Self::I16 | Self::F16 => 2,
            Self::F32 | Self::I32 => 4,
        }
    }
}

/// An array that borrows the file's bytes.
#[derive(Clone, Debug)]
pub struct Variable<'a> {
    /// Row-major dimensions; empty for a single value.
    pub shape: Vec<usize>,
    pub dtype: Dtype,
    /// Little-endian elements.
    pub data: &'a [u8],
}

impl Variable<'_> {
    /// A single integer of whatever width.
    pub fn integer(&self) -> Result<i64> {
        match (self.dtype, self.data) {
            (Dtype::I8, &[a]) => Ok(i8::from_le_bytes([a]).into()),
            (Dtype::I16, &[a, b]) => Ok(i16::from_le_bytes([a, b]).into()),
            (Dtype::I32, &[a, b, c, d]) => Ok(i32::from_le_bytes([a, b, c, d]).into()),
            _ => bail!("expected one integer, got {:?} of shape {:?}", self.dtype, self.shape),
        }
    }

    /// How many elements it has.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A whole file.
pub struct Model<'a> {
    /// The kind of model, such as `WhisperSpec`.
    pub spec: String,
    pub variables: BTreeMap<String, Variable<'a>>,
    /// Names that stand for another variable.
    pub aliases: BTreeMap<String, String>,
}

impl<'a> Model<'a> {
    /// Reads a file's bytes to their end.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader { rest: bytes };
        let version = reader.u32()?;
        if !(4..=6).contains(&version) {
            bail!("CTranslate2 binary version {version}: this reader knows 4 to 6");
        }
        let spec = reader.name()?;
        let _revision = reader.u32()?;
        let mut variables = BTreeMap::new();
        for _ in 0..reader.u32()? {
            let name = reader.name()?;
            let variable = reader.variable().with_context(|| format!("variable {name}"))?;
            variables.insert(name, variable);
        }
        let mut aliases = BTreeMap::new();
        for _ in 0..reader.u32()? {
            aliases.insert(reader.name()?, reader.name()?);
        }
        if !reader.rest.is_empty() {
            bail!("{} bytes are left after the end of the model", reader.rest.len());
        }
        Ok(Self { spec, variables, aliases })
    }

    /// A variable that must be there.
    pub fn get(&self, name: &str) -> Result<&Variable<'a>> {
        self.variables.get(name).with_context(|| format!("the model has no variable {name}"))
    }
}

/// Takes little-endian values from the front of what is left.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, n_bytes: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(n_bytes)
            .with_context(|| format!("the model ends early: {n_bytes} bytes wanted, {} left", self.rest.len()))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into()?)
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn name(&mut self) -> Result<String> {
        let length = u16::from_le_bytes(self.array()?);
        let bytes = self.take(length.into())?;
        let text = std::str::from_utf8(bytes).context("a name is not UTF-8")?;
        Ok(text.trim_end_matches('\0').to_owned())
    }

    fn variable(&mut self) -> Result<Variable<'a>> {
        let rank = self.u8()?;
        let shape = (0..rank).map(|_| Ok(usize::try_from(self.u32()?)?)).collect::<Result<Vec<_>>>()?;
        let dtype = Dtype::from_number(self.u8()?)?;
        let n_bytes = usize::try_from(self.u32()?)?;
        let expected = shape.iter().try_fold(dtype.size(), |product, dim| product.checked_mul(*dim));
        if expected != Some(n_bytes) {
            bail!("{dtype:?} of shape {shape:?} does not take {n_bytes} bytes");
        }
        Ok(Variable { shape, dtype, data: self.take(n_bytes)? })
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A file of version 6 with these variables, written by the format's description.
    pub fn write(spec: &str, variables: &[(&str, &[u32], u8, &[u8])], aliases: &[(&str, &str)]) -> Vec<u8> {
        fn name(out: &mut Vec<u8>, text: &str) {
            out.extend(u16::try_from(text.len() + 1).unwrap().to_le_bytes());
            out.extend(text.as_bytes());
            out.push(0);
        }
        let mut out = 6u32.to_le_bytes().to_vec();
        name(&mut out, spec);
        out.extend(3u32.to_le_bytes());
        out.extend(u32::try_from(variables.len()).unwrap().to_le_bytes());
        for (variable, shape, dtype, data) in variables {
            name(&mut out, variable);
            out.push(u8::try_from(shape.len()).unwrap());
            shape.iter().for_each(|dim| out.extend(dim.to_le_bytes()));
            out.push(*dtype);
            out.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
            out.extend(*data);
        }
        out.extend(u32::try_from(aliases.len()).unwrap().to_le_bytes());
        for (alias, target) in aliases {
            name(&mut out, alias);
            name(&mut out, target);
        }
        out
    }

    #[test]
    fn variables_and_aliases_come_back() {
        let bytes = write("TestSpec", &[("heads", &[], 2, &[6, 0]), ("w", &[1, 2], 4, &[1, 2, 3, 4])], &[("p", "w")]);
        let model = Model::parse(&bytes).unwrap();
        assert_eq!(model.spec, "TestSpec");
        assert_eq!(model.get("heads").unwrap().integer().unwrap(), 6);
        let w = model.get("w").unwrap();
        assert_eq!((w.shape.as_slice(), w.dtype, w.data, w.len()), (&[1, 2][..], Dtype::F16, &[1, 2, 3, 4][..], 2));
        assert_eq!(model.aliases["p"], "w");
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error_and_no_panic() {
        let bytes = write("TestSpec", &[("w", &[2], 4, &[1, 2, 3, 4])], &[("p", "w")]);
        for end in 0..bytes.len() {
            assert!(Model::parse(&bytes[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_shape_that_disagrees_with_its_bytes_is_refused() {
        let bytes = write("TestSpec", &[("w", &[3], 4, &[1, 2, 3, 4])], &[]);
        assert!(format!("{:#}", Model::parse(&bytes).err().unwrap()).contains("variable w"));
        let huge = write("TestSpec", &[("w", &[u32::MAX, u32::MAX, u32::MAX], 4, &[])], &[]);
        assert!(Model::parse(&huge).is_err());
    }
}
