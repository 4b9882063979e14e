//! Builds a function in static single assignment form while it is being written down.
//!
//! The algorithm is Braun et al., "Simple and Efficient Construction of Static Single Assignment Form" (CC 2013), with block
//! parameters in the place of phi functions. Parameters that turn out to be always the same value are left to the optimizer.

use std::collections::HashMap;

use shared::ir::{Block, BlockId, End, Function, Instruction, Jump, Location, Op, Type, Value};

/// A script variable, by its number in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Variable(pub(super) usize);

/// A function in the making.
pub(super) struct Builder {
    function: Function,
    variables: Vec<Type>,
    states: Vec<BlockState>,
    current: BlockId,
}

#[derive(Default)]
struct BlockState {
    predecessors: Vec<BlockId>,
    /// Whether all predecessors are known.
    sealed: bool,
    /// Whether the block has its end.
    ended: bool,
    definitions: HashMap<Variable, Value>,
    /// Parameters whose arguments wait for the remaining predecessors.
    incomplete: Vec<(Variable, Value)>,
}

impl Builder {
    /// A function whose first variables are its parameters. The entry block is current.
    pub(super) fn new(name: &str, result: Option<Type>, variables: Vec<Type>, parameter_count: usize) -> Self {
        let function = Function { name: name.to_owned(), result, ..Function::default() };
        let mut builder = Self { function, variables, states: Vec::new(), current: BlockId(0) };
        let entry = builder.new_block();
        builder.seal(entry);
        for index in 0..parameter_count {
            let parameter = builder.add_parameter(entry, builder.variables[index]);
            builder.write(Variable(index), parameter);
        }
        builder
    }

    /// A variable that the script does not know.
    pub(super) fn new_variable(&mut self, ty: Type) -> Variable {
        self.variables.push(ty);
        Variable(self.variables.len() - 1)
    }

    /// A block that nothing jumps to yet.
    pub(super) fn new_block(&mut self) -> BlockId {
        let block = Block {
            parameters: Vec::new(),
            instructions: Vec::new(),
            end: End::Return(None),
            end_location: Location::default(),
        };
        self.function.blocks.push(block);
        self.states.push(BlockState::default());
        BlockId(self.function.blocks.len() as u32 - 1)
    }

    /// A further parameter of a block; whoever jumps there passes it.
    pub(super) fn add_parameter(&mut self, block: BlockId, ty: Type) -> Value {
        let parameter = self.function.new_value(ty);
        self.function.blocks[block.0 as usize].parameters.push(parameter);
        parameter
    }

    /// Where the next instruction goes.
    pub(super) fn switch_to(&mut self, block: BlockId) {
        self.current = block;
    }

    /// Declares that every jump to a block is written.
    pub(super) fn seal(&mut self, block: BlockId) {
        let state = &mut self.states[block.0 as usize];
        state.sealed = true;
        for (variable, parameter) in std::mem::take(&mut state.incomplete) {
            self.pass_arguments(block, variable);
            debug_assert!(self.function.ty(parameter) == self.variables[variable.0]);
        }
    }

    /// Appends an instruction with results of these types.
    pub(super) fn push<const N: usize>(&mut self, op: Op, results: [Type; N], location: Location) -> [Value; N] {
        let results = results.map(|ty| self.function.new_value(ty));
        if !self.states[self.current.0 as usize].ended {
            let instruction = Instruction { results: results.to_vec(), op, location };
            self.function.blocks[self.current.0 as usize].instructions.push(instruction);
        }
        results
    }

    /// Ends the current block. What is written after that goes nowhere, until another block is current.
    pub(super) fn end(&mut self, end: End, location: Location) {
        let current = self.current.0 as usize;
        if std::mem::replace(&mut self.states[current].ended, true) {
            return;
        }
        for jump in end.jumps() {
            self.states[jump.block.0 as usize].predecessors.push(self.current);
        }
        self.function.blocks[current].end = end;
        self.function.blocks[current].end_location = location;
    }

    pub(super) fn jump(&mut self, block: BlockId, arguments: Vec<Value>, location: Location) {
        self.end(End::Jump(Jump { block, arguments }), location);
    }

    pub(super) fn branch(&mut self, condition: Value, then: BlockId, otherwise: BlockId, location: Location) {
        let jump = |block| Jump { block, arguments: Vec::new() };
        self.end(End::Branch { condition, then: jump(then), otherwise: jump(otherwise) }, location);
    }

    /// Assigns to a variable.
    pub(super) fn write(&mut self, variable: Variable, value: Value) {
        let state = &mut self.states[self.current.0 as usize];
        if !state.ended {
            state.definitions.insert(variable, value);
        }
    }

    /// The value of a variable here.
    pub(super) fn read(&mut self, variable: Variable) -> Value {
        self.read_in(self.current, variable)
    }

    fn read_in(&mut self, block: BlockId, variable: Variable) -> Value {
        // Walks up single predecessors without recursion: straight code may be thousands of blocks deep.
        let mut passed = Vec::new();
        let mut at = block;
        let value = loop {
            let state = &self.states[at.0 as usize];
            if let Some(&value) = state.definitions.get(&variable) {
                break value;
            }
            match (state.sealed, state.predecessors.as_slice()) {
                (true, []) => break self.define_zero(at, variable),
                (true, &[predecessor]) => {
                    passed.push(at);
                    at = predecessor;
                }
                (sealed, _) => break self.define_parameter(at, variable, sealed),
            }
        };
        for block in passed {
            self.states[block.0 as usize].definitions.insert(variable, value);
        }
        value
    }

    /// The value before any assignment: 0 or the empty string, defined where the function (or code that nothing reaches)
    /// begins.
    fn define_zero(&mut self, block: BlockId, variable: Variable) -> Value {
        let ty = self.variables[variable.0];
        let value = self.function.new_value(ty);
        let op = match ty {
            Type::String(_) => Op::String(Default::default()),
            Type::Long | Type::Iterator => Op::Long(0),
        };
        let instruction = Instruction { results: vec![value], op, location: Location::default() };
        self.function.blocks[block.0 as usize].instructions.insert(0, instruction);
        self.states[block.0 as usize].definitions.insert(variable, value);
        value
    }

    fn define_parameter(&mut self, block: BlockId, variable: Variable, sealed: bool) -> Value {
        let parameter = self.add_parameter(block, self.variables[variable.0]);
        self.states[block.0 as usize].definitions.insert(variable, parameter);
        if sealed {
            self.pass_arguments(block, variable);
        } else {
            self.states[block.0 as usize].incomplete.push((variable, parameter));
        }
        parameter
    }

    /// Lets every jump to a block pass a variable's value for the parameter added last for it.
    fn pass_arguments(&mut self, block: BlockId, variable: Variable) {
        for predecessor in self.states[block.0 as usize].predecessors.clone() {
            let value = self.read_in(predecessor, variable);
            self.function.blocks[predecessor.0 as usize].end.jumps_mut(|jump| {
                if jump.block == block {
                    jump.arguments.push(value);
                }
            });
        }
    }

    /// The function, without the blocks that nothing reaches.
    pub(super) fn finish(mut self) -> Function {
        self.function.remove_unreachable();
        self.function
    }
}
