"""The whole product on one machine, on embedded servers, each part a supervised process that may be killed."""
