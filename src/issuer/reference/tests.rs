//! The endpoints, asked as a client would and as nobody should.
