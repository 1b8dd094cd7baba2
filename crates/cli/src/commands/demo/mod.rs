pub(crate) mod upstream;
