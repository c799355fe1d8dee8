//! The specification's rules: which operands a primitive takes, and what comes out (webmachinelearning.github.io/webnn, the
//! steps of each builder method). What a browser's backend narrows down further, its `opSupportLimits` says.

use super::{Element, OperandType, Primitive};

/// Type of the output, or in one sentence why there is none.
pub(super) fn output(primitive: &Primitive, inputs: &[&OperandType]) -> Result<OperandType, String> {
    let is_float = |ty: &OperandType| matches!(ty.element, Element::F32 | Element::F16);
    let floats = |what: &str| match inputs.iter().find(|ty| !is_float(ty)) {
        Some(ty) => Err(format!("{what} takes floats, not {}", ty.element.name())),
        None => same_element(inputs),
    };
    count(primitive, inputs.len())?;
    if let Some(empty) = inputs.iter().find(|ty| ty.shape.contains(&0)) {
        return Err(format!("an operand of shape {:?} is empty", empty.shape));
    }
    let first = inputs[0];
    let like_first = |shape: Vec<usize>| Ok(OperandType::new(first.element, shape));
    match primitive {
        Primitive::Binary(_) => {
            same_element(inputs)?;
            like_first(spread(&first.shape, &inputs[1].shape)?)
        }
        Primitive::Compare(_) => {
            same_element(inputs)?;
            Ok(OperandType::new(Element::U8, spread(&first.shape, &inputs[1].shape)?))
        }
        // `relu` would take integers too, which nothing here has.
        Primitive::Unary(_) => {
            floats("it")?;
            like_first(first.shape.clone())
        }
        Primitive::Cast(element) => Ok(OperandType::new(*element, first.shape.clone())),
        Primitive::Where => {
            if first.element != Element::U8 {
                return Err(format!("the condition is {}, not uint8", first.element.name()));
            }
            same_element(&inputs[1..])?;
            let values = spread(&inputs[1].shape, &inputs[2].shape)?;
            Ok(OperandType::new(inputs[1].element, spread(&first.shape, &values)?))
        }
        Primitive::Matmul => {
            floats("a matrix product")?;
            let ((a, b), (rows, inner)) = ((split(&first.shape)?, split(&inputs[1].shape)?), tail(&first.shape)?);
            let (b_rows, cols) = tail(&inputs[1].shape)?;
            if inner != b_rows {
                return Err(format!("{inner} columns meet {b_rows} rows"));
            }
            let mut shape = spread(a, b)?;
            shape.extend([rows, cols]);
            like_first(shape)
        }
        Primitive::Gemm => {
            floats("a matrix product")?;
            let ([m, k], [n, w_k]) = (matrix(first)?, matrix(inputs[1])?);
            if k != w_k {
                return Err(format!("{k} columns meet {w_k}"));
            }
            if let Some(c) = inputs.get(2)
                && (c.shape.len() > 2 || spread(&c.shape, &[m, n])? != [m, n])
            {
                return Err(format!("the addend {:?} does not spread over [{m}, {n}]", c.shape));
            }
            like_first(vec![m, n])
        }
        Primitive::LayerNorm { .. } => {
            floats("a normalisation")?;
            let line = [last(first)?];
            match inputs[1..].iter().find(|ty| ty.shape != line) {
                Some(ty) => Err(format!("scale and bias are {line:?} long, not {:?}", ty.shape)),
                None => like_first(first.shape.clone()),
            }
        }
        Primitive::Softmax(axis) => {
            floats("softmax")?;
            size_at(first, *axis)?;
            like_first(first.shape.clone())
        }
        Primitive::Reduce(_, axis) => {
            floats("a reduction here")?;
            size_at(first, *axis)?;
            let mut shape = first.shape.clone();
            shape[*axis] = 1;
            like_first(shape)
        }
        Primitive::Reshape(shape) => {
            let (n, wanted) = (first.n_elements(), shape.iter().product::<usize>());
            if n == wanted { like_first(shape.clone()) } else { Err(format!("{n} elements do not make {shape:?}")) }
        }
        Primitive::Transpose(permutation) => {
            let mut sorted = permutation.clone();
            sorted.sort_unstable();
            if !sorted.into_iter().eq(0..first.shape.len()) {
                return Err("the permutation does not name every dimension once".into());
            }
            like_first(permutation.iter().map(|&axis| first.shape[axis]).collect())
        }
        Primitive::Slice { starts, sizes } => {
            let rank = first.shape.len();
            let fits = |axis: usize| sizes[axis] > 0 && starts[axis] + sizes[axis] <= first.shape[axis];
            if starts.len() != rank || sizes.len() != rank || !(0..rank).all(fits) {
                return Err("the block is not inside".into());
            }
            like_first(sizes.clone())
        }
        Primitive::Concat(axis) => {
            same_element(inputs)?;
            let mut shape = first.shape.clone();
            shape[*axis] = 0;
            for ty in inputs {
                let size = size_at(ty, *axis)?;
                let matches = |d: usize| d == *axis || ty.shape[d] == first.shape[d];
                if ty.shape.len() != shape.len() || !(0..shape.len()).all(matches) {
                    return Err(format!("{:?} and {:?} differ beside the joint", first.shape, ty.shape));
                }
                shape[*axis] += size;
            }
            like_first(shape)
        }
        Primitive::Gather => {
            let indices = indices(inputs[1])?;
            size_at(first, 0)?;
            like_first(indices.iter().chain(&first.shape[1..]).copied().collect())
        }
        Primitive::ScatterRows => {
            let updates = inputs[2];
            same_element(&[first, updates])?;
            let [n, 1] = indices(inputs[1])? else { return Err("row numbers are [n, 1]".into()) };
            let expected: Vec<usize> = std::iter::once(n).chain(&first.shape[1..]).copied().collect();
            if updates.shape != expected {
                return Err(format!("{n} rows are {expected:?}, not {:?}", updates.shape));
            }
            like_first(first.shape.clone())
        }
    }
}

fn count(primitive: &Primitive, n: usize) -> Result<(), String> {
    let names = primitive.input_names().len();
    let fits = match primitive {
        Primitive::Concat(_) => n >= 1,
        Primitive::Gemm => n == 2 || n == 3,
        _ => n == names,
    };
    if fits { Ok(()) } else { Err(format!("{n} operands were given")) }
}

fn same_element(inputs: &[&OperandType]) -> Result<(), String> {
    match inputs.windows(2).find(|pair| pair[0].element != pair[1].element) {
        Some(pair) => Err(format!("{} meets {}", pair[0].element.name(), pair[1].element.name())),
        None => Ok(()),
    }
}

/// The common shape of two that are spread over each other: sizes are equal from the back, or one of them is 1.
fn spread(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    (0..rank)
        .map(|axis| match (size(a, axis), size(b, axis)) {
            (x, y) if x == y || y == 1 => Ok(x),
            (1, y) => Ok(y),
            _ => Err(format!("{a:?} does not spread over {b:?}")),
        })
        .collect()
}

fn split(shape: &[usize]) -> Result<&[usize], String> {
    shape.len().checked_sub(2).map(|n| &shape[..n]).ok_or_else(|| format!("{shape:?} is no matrix"))
}

fn tail(shape: &[usize]) -> Result<(usize, usize), String> {
    match shape {
        [.., rows, cols] => Ok((*rows, *cols)),
        _ => Err(format!("{shape:?} is no matrix")),
    }
}

fn matrix(ty: &OperandType) -> Result<[usize; 2], String> {
    ty.shape.as_slice().try_into().map_err(|_| format!("{:?} is no matrix", ty.shape))
}

fn last(ty: &OperandType) -> Result<usize, String> {
    ty.shape.last().copied().ok_or_else(|| "a scalar has no last dimension".into())
}

fn size_at(ty: &OperandType, axis: usize) -> Result<usize, String> {
    ty.shape.get(axis).copied().ok_or_else(|| format!("{:?} has no dimension {axis}", ty.shape))
}

fn indices(ty: &OperandType) -> Result<&[usize], String> {
    if ty.element == Element::I32 { Ok(&ty.shape) } else { Err(format!("indices are {}", ty.element.name())) }
}

#[cfg(test)]
mod tests {
    use super::super::{Binary, Compare, Lowering};
    use super::*;

    fn ty(element: Element, shape: &[usize]) -> OperandType {
        OperandType::new(element, shape)
    }

    #[test]
    fn lowering_follows_the_specifications_shapes() {
        let mut b = Lowering::default();
        let x = b.input(ty(Element::F32, &[2, 1, 3]));
        let y = b.input(ty(Element::F32, &[4, 1]));
        let sum = b.add(x, y).expect("shapes spread");
        assert_eq!(b.ty(sum).shape, [2, 4, 3]);
        let w = b.input(ty(Element::F32, &[5, 3, 7]));
        let v = b.input(ty(Element::F32, &[1, 2, 3]));
        let product = b.matmul(v, w).expect("a batch of matrices");
        assert_eq!(b.ty(product).shape, [5, 2, 7]);
        let rows = b.iota(&[6]);
        let taken = b.gather(sum, rows).expect("any table");
        assert_eq!(b.ty(taken).shape, [6, 4, 3]);
        let less = b.compare(Compare::Lesser, x, y).expect("floats compare");
        assert_eq!(*b.ty(less), ty(Element::U8, &[2, 4, 3]));
    }

    #[test]
    fn lowering_refuses_what_the_specification_does() {
        let mut b = Lowering::default();
        let x = b.input(ty(Element::F32, &[2, 3]));
        let half = b.input(ty(Element::F16, &[2, 3]));
        let three = b.input(ty(Element::F32, &[3, 2]));
        assert!(b.add(x, half).is_err(), "two element types");
        assert!(b.binary(Binary::Max, x, three).is_err(), "shapes that do not spread");
        assert!(b.linear(x, three, None).is_err(), "columns that do not meet");
        assert!(b.choose(x, x, x).is_err(), "a condition of floats");
        assert!(b.gather(x, x).is_err(), "indices of floats");
        assert!(b.slice(x, &[1, 0], &[2, 3]).is_err(), "a block that reaches out");
        assert!(b.transpose(x, &[0, 0]).is_err(), "a dimension twice");
        assert!(b.reshape(x, &[4]).is_err(), "another number of elements");
        assert!(b.concat(&[x, three], 0).is_err(), "parts that differ beside the joint");
    }
}
