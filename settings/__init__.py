"""The settings of the application: environment variables, servers, brokers and the checks of all of them."""
