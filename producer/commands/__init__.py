"""The commands of this application beside the verbs that every application has."""
