"""The version, alone, so that a build can read it before anything is compiled."""

VERSION = "0.1.0"
