// Written by scripts/openapi.mjs from proto/. Do not edit.
/** The OpenAPI document of the server API. */
export const OPENAPI: object = {
  "openapi": "3.1.0",
  "info": {
    "title": "MessageLoop server API",
    "version": "0.1.0",
    "description": "What an application's backend may ask of MessageLoop. Items of a request succeed or fail by themselves: an answer with status 200 has an `error` at each item that was refused. The same calls are there by Connect, gRPC-Web and gRPC.",
    "license": {
      "name": "Apache-2.0",
      "identifier": "Apache-2.0"
    }
  },
  "servers": [
    {
      "url": "/",
      "description": "The server that this document comes from."
    }
  ],
  "tags": [
    {
      "name": "APIService",
      "description": "APIService is for an application's backend. Every call carries a key in the header \"Authorization: Bearer KEY\"; what the key has to be good for stands at the call."
    }
  ],
  "security": [
    {
      "key": []
    }
  ],
  "paths": {
    "/messageloop.server.v1.APIService/Publish": {
      "post": {
        "operationId": "Publish",
        "tags": [
          "APIService"
        ],
        "summary": "Publishes a batch to channels, sessions and users",
        "description": "Publishes a batch to channels, sessions and users. Each destination succeeds or fails by itself. Needs the right publish; for sessions and users in all channels.",
        "requestBody": {
          "required": true,
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/messageloop.server.v1.PublishRequest"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "The answer.",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/messageloop.server.v1.PublishResponse"
                }
              }
            }
          },
          "400": {
            "$ref": "#/components/responses/problem400"
          },
          "401": {
            "$ref": "#/components/responses/problem401"
          },
          "403": {
            "$ref": "#/components/responses/problem403"
          },
          "408": {
            "$ref": "#/components/responses/problem408"
          },
          "415": {
            "$ref": "#/components/responses/problem415"
          },
          "429": {
            "$ref": "#/components/responses/problem429"
          },
          "500": {
            "$ref": "#/components/responses/problem500"
          },
          "501": {
            "$ref": "#/components/responses/problem501"
          },
          "503": {
            "$ref": "#/components/responses/problem503"
          }
        }
      }
    },
    "/messageloop.server.v1.APIService/Disconnect": {
      "post": {
        "operationId": "Disconnect",
        "tags": [
          "APIService"
        ],
        "summary": "Ends sessions",
        "description": "Ends sessions. Needs the right manage in all channels.",
        "requestBody": {
          "required": true,
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/messageloop.server.v1.DisconnectRequest"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "The answer.",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/messageloop.server.v1.DisconnectResponse"
                }
              }
            }
          },
          "400": {
            "$ref": "#/components/responses/problem400"
          },
          "401": {
            "$ref": "#/components/responses/problem401"
          },
          "403": {
            "$ref": "#/components/responses/problem403"
          },
          "408": {
            "$ref": "#/components/responses/problem408"
          },
          "415": {
            "$ref": "#/components/responses/problem415"
          },
          "429": {
            "$ref": "#/components/responses/problem429"
          },
          "500": {
            "$ref": "#/components/responses/problem500"
          },
          "501": {
            "$ref": "#/components/responses/problem501"
          },
          "503": {
            "$ref": "#/components/responses/problem503"
          }
        }
      }
    },
    "/messageloop.server.v1.APIService/Subscribe": {
      "post": {
        "operationId": "Subscribe",
        "tags": [
          "APIService"
        ],
        "summary": "Subscribes a session to channels, without asking anybody",
        "description": "Subscribes a session to channels, without asking anybody. Needs the right manage.",
        "requestBody": {
          "required": true,
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/messageloop.server.v1.SubscribeRequest"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "The answer.",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/messageloop.server.v1.SubscribeResponse"
                }
              }
            }
          },
          "400": {
            "$ref": "#/components/responses/problem400"
          },
          "401": {
            "$ref": "#/components/responses/problem401"
          },
          "403": {
            "$ref": "#/components/responses/problem403"
          },
          "408": {
            "$ref": "#/components/responses/problem408"
          },
          "415": {
            "$ref": "#/components/responses/problem415"
          },
          "429": {
            "$ref": "#/components/responses/problem429"
          },
          "500": {
            "$ref": "#/components/responses/problem500"
          },
          "501": {
            "$ref": "#/components/responses/problem501"
          },
          "503": {
            "$ref": "#/components/responses/problem503"
          }
        }
      }
    },
    "/messageloop.server.v1.APIService/Unsubscribe": {
      "post": {
        "operationId": "Unsubscribe",
        "tags": [
          "APIService"
        ],
        "summary": "Ends subscriptions of a session",
        "description": "Ends subscriptions of a session. Needs the right manage.",
        "requestBody": {
          "required": true,
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/messageloop.server.v1.UnsubscribeRequest"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "The answer.",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/messageloop.server.v1.UnsubscribeResponse"
                }
              }
            }
          },
          "400": {
            "$ref": "#/components/responses/problem400"
          },
          "401": {
            "$ref": "#/components/responses/problem401"
          },
          "403": {
            "$ref": "#/components/responses/problem403"
          },
          "408": {
            "$ref": "#/components/responses/problem408"
          },
          "415": {
            "$ref": "#/components/responses/problem415"
          },
          "429": {
            "$ref": "#/components/responses/problem429"
          },
          "500": {
            "$ref": "#/components/responses/problem500"
          },
          "501": {
            "$ref": "#/components/responses/problem501"
          },
          "503": {
            "$ref": "#/components/responses/problem503"
          }
        }
      }
    },
    "/messageloop.server.v1.APIService/Survey": {
      "post": {
        "operationId": "Survey",
        "tags": [
          "APIService"
        ],
        "summary": "Asks the subscribers of a channel, and gathers their answers",
        "description": "Asks the subscribers of a channel, and gathers their answers. Needs the rights publish and read.",
        "requestBody": {
          "required": true,
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/messageloop.server.v1.SurveyRequest"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "The answer.",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/messageloop.server.v1.SurveyResponse"
                }
              }
            }
          },
          "400": {
            "$ref": "#/components/responses/problem400"
          },
          "401": {
            "$ref": "#/components/responses/problem401"
          },
          "403": {
            "$ref": "#/components/responses/problem403"
          },
          "408": {
            "$ref": "#/components/responses/problem408"
          },
          "415": {
            "$ref": "#/components/responses/problem415"
          },
          "429": {
            "$ref": "#/components/responses/problem429"
          },
          "500": {
            "$ref": "#/components/responses/problem500"
          },
          "501": {
            "$ref": "#/components/responses/problem501"
          },
          "503": {
            "$ref": "#/components/responses/problem503"
          }
        }
      }
    },
    "/messageloop.server.v1.APIService/History": {
      "post": {
        "operationId": "History",
        "tags": [
          "APIService"
        ],
        "summary": "Reads a page of a channel's log",
        "description": "Reads a page of a channel's log. Needs the right read.",
        "requestBody": {
          "required": true,
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/messageloop.server.v1.HistoryRequest"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "The answer.",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/messageloop.server.v1.HistoryResponse"
                }
              }
            }
          },
          "400": {
            "$ref": "#/components/responses/problem400"
          },
          "401": {
            "$ref": "#/components/responses/problem401"
          },
          "403": {
            "$ref": "#/components/responses/problem403"
          },
          "408": {
            "$ref": "#/components/responses/problem408"
          },
          "415": {
            "$ref": "#/components/responses/problem415"
          },
          "429": {
            "$ref": "#/components/responses/problem429"
          },
          "500": {
            "$ref": "#/components/responses/problem500"
          },
          "501": {
            "$ref": "#/components/responses/problem501"
          },
          "503": {
            "$ref": "#/components/responses/problem503"
          }
        }
      }
    },
    "/messageloop.server.v1.APIService/RemoveHistory": {
      "post": {
        "operationId": "RemoveHistory",
        "tags": [
          "APIService"
        ],
        "summary": "Takes every message out of a channel's log",
        "description": "Takes every message out of a channel's log. Positions go on. Needs the right manage.",
        "requestBody": {
          "required": true,
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/messageloop.server.v1.RemoveHistoryRequest"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "The answer.",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/messageloop.server.v1.RemoveHistoryResponse"
                }
              }
            }
          },
          "400": {
            "$ref": "#/components/responses/problem400"
          },
          "401": {
            "$ref": "#/components/responses/problem401"
          },
          "403": {
            "$ref": "#/components/responses/problem403"
          },
          "408": {
            "$ref": "#/components/responses/problem408"
          },
          "415": {
            "$ref": "#/components/responses/problem415"
          },
          "429": {
            "$ref": "#/components/responses/problem429"
          },
          "500": {
            "$ref": "#/components/responses/problem500"
          },
          "501": {
            "$ref": "#/components/responses/problem501"
          },
          "503": {
            "$ref": "#/components/responses/problem503"
          }
        }
      }
    },
    "/messageloop.server.v1.APIService/Presence": {
      "post": {
        "operationId": "Presence",
        "tags": [
          "APIService"
        ],
        "summary": "Lists who is present in a channel",
        "description": "Lists who is present in a channel. Needs the right read.",
        "requestBody": {
          "required": true,
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/messageloop.server.v1.PresenceRequest"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "The answer.",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/messageloop.server.v1.PresenceResponse"
                }
              }
            }
          },
          "400": {
            "$ref": "#/components/responses/problem400"
          },
          "401": {
            "$ref": "#/components/responses/problem401"
          },
          "403": {
            "$ref": "#/components/responses/problem403"
          },
          "408": {
            "$ref": "#/components/responses/problem408"
          },
          "415": {
            "$ref": "#/components/responses/problem415"
          },
          "429": {
            "$ref": "#/components/responses/problem429"
          },
          "500": {
            "$ref": "#/components/responses/problem500"
          },
          "501": {
            "$ref": "#/components/responses/problem501"
          },
          "503": {
            "$ref": "#/components/responses/problem503"
          }
        }
      }
    },
    "/messageloop.server.v1.APIService/Channels": {
      "post": {
        "operationId": "Channels",
        "tags": [
          "APIService"
        ],
        "summary": "Lists channels that have been published to or had subscribers within their position_ttl, by name",
        "description": "Lists channels that have been published to or had subscribers within their position_ttl, by name. Names only those that the key may read.",
        "requestBody": {
          "required": true,
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/messageloop.server.v1.ChannelsRequest"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "The answer.",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/messageloop.server.v1.ChannelsResponse"
                }
              }
            }
          },
          "400": {
            "$ref": "#/components/responses/problem400"
          },
          "401": {
            "$ref": "#/components/responses/problem401"
          },
          "403": {
            "$ref": "#/components/responses/problem403"
          },
          "408": {
            "$ref": "#/components/responses/problem408"
          },
          "415": {
            "$ref": "#/components/responses/problem415"
          },
          "429": {
            "$ref": "#/components/responses/problem429"
          },
          "500": {
            "$ref": "#/components/responses/problem500"
          },
          "501": {
            "$ref": "#/components/responses/problem501"
          },
          "503": {
            "$ref": "#/components/responses/problem503"
          }
        }
      }
    },
    "/messageloop.server.v1.APIService/CreateTicket": {
      "post": {
        "operationId": "CreateTicket",
        "tags": [
          "APIService"
        ],
        "summary": "Makes a ticket by which a page reads channels as server-sent events",
        "description": "Makes a ticket by which a page reads channels as server-sent events. Needs the right read.",
        "requestBody": {
          "required": true,
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/messageloop.server.v1.CreateTicketRequest"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "The answer.",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/messageloop.server.v1.CreateTicketResponse"
                }
              }
            }
          },
          "400": {
            "$ref": "#/components/responses/problem400"
          },
          "401": {
            "$ref": "#/components/responses/problem401"
          },
          "403": {
            "$ref": "#/components/responses/problem403"
          },
          "408": {
            "$ref": "#/components/responses/problem408"
          },
          "415": {
            "$ref": "#/components/responses/problem415"
          },
          "429": {
            "$ref": "#/components/responses/problem429"
          },
          "500": {
            "$ref": "#/components/responses/problem500"
          },
          "501": {
            "$ref": "#/components/responses/problem501"
          },
          "503": {
            "$ref": "#/components/responses/problem503"
          }
        }
      }
    },
    "/messageloop.server.v1.APIService/Revoke": {
      "post": {
        "operationId": "Revoke",
        "tags": [
          "APIService"
        ],
        "summary": "Revokes tokens before they expire: sessions that have come by them end within 10 s, and no new one begins",
        "description": "Revokes tokens before they expire: sessions that have come by them end within 10 s, and no new one begins. Needs the right manage in all channels.",
        "requestBody": {
          "required": true,
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/messageloop.server.v1.RevokeRequest"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "The answer.",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/messageloop.server.v1.RevokeResponse"
                }
              }
            }
          },
          "400": {
            "$ref": "#/components/responses/problem400"
          },
          "401": {
            "$ref": "#/components/responses/problem401"
          },
          "403": {
            "$ref": "#/components/responses/problem403"
          },
          "408": {
            "$ref": "#/components/responses/problem408"
          },
          "415": {
            "$ref": "#/components/responses/problem415"
          },
          "429": {
            "$ref": "#/components/responses/problem429"
          },
          "500": {
            "$ref": "#/components/responses/problem500"
          },
          "501": {
            "$ref": "#/components/responses/problem501"
          },
          "503": {
            "$ref": "#/components/responses/problem503"
          }
        }
      }
    },
    "/messageloop.server.v1.APIService/Status": {
      "post": {
        "operationId": "Status",
        "tags": [
          "APIService"
        ],
        "summary": "Says what the key is good for, and what the deployment is and does",
        "description": "Says what the key is good for, and what the deployment is and does. Any key may ask; what nodes do is for those with the right read in all channels.",
        "requestBody": {
          "required": true,
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/messageloop.server.v1.StatusRequest"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "The answer.",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/messageloop.server.v1.StatusResponse"
                }
              }
            }
          },
          "400": {
            "$ref": "#/components/responses/problem400"
          },
          "401": {
            "$ref": "#/components/responses/problem401"
          },
          "403": {
            "$ref": "#/components/responses/problem403"
          },
          "408": {
            "$ref": "#/components/responses/problem408"
          },
          "415": {
            "$ref": "#/components/responses/problem415"
          },
          "429": {
            "$ref": "#/components/responses/problem429"
          },
          "500": {
            "$ref": "#/components/responses/problem500"
          },
          "501": {
            "$ref": "#/components/responses/problem501"
          },
          "503": {
            "$ref": "#/components/responses/problem503"
          }
        }
      }
    },
    "/messageloop.server.v1.APIService/Sessions": {
      "post": {
        "operationId": "Sessions",
        "tags": [
          "APIService"
        ],
        "summary": "Lists the sessions of a user",
        "description": "Lists the sessions of a user. Needs the right read in all channels.",
        "requestBody": {
          "required": true,
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/messageloop.server.v1.SessionsRequest"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "The answer.",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/messageloop.server.v1.SessionsResponse"
                }
              }
            }
          },
          "400": {
            "$ref": "#/components/responses/problem400"
          },
          "401": {
            "$ref": "#/components/responses/problem401"
          },
          "403": {
            "$ref": "#/components/responses/problem403"
          },
          "408": {
            "$ref": "#/components/responses/problem408"
          },
          "415": {
            "$ref": "#/components/responses/problem415"
          },
          "429": {
            "$ref": "#/components/responses/problem429"
          },
          "500": {
            "$ref": "#/components/responses/problem500"
          },
          "501": {
            "$ref": "#/components/responses/problem501"
          },
          "503": {
            "$ref": "#/components/responses/problem503"
          }
        }
      }
    },
    "/messageloop.server.v1.APIService/Nodes": {
      "post": {
        "operationId": "Nodes",
        "tags": [
          "APIService"
        ],
        "summary": "Says what each thread of the server, or each gateway of Workers, holds and does, and which gaps and slow consumers there were",
        "description": "Says what each thread of the server, or each gateway of Workers, holds and does, and which gaps and slow consumers there were. No gateway is woken for it. Needs the right read in all channels.",
        "requestBody": {
          "required": true,
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/messageloop.server.v1.NodesRequest"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "The answer.",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/messageloop.server.v1.NodesResponse"
                }
              }
            }
          },
          "400": {
            "$ref": "#/components/responses/problem400"
          },
          "401": {
            "$ref": "#/components/responses/problem401"
          },
          "403": {
            "$ref": "#/components/responses/problem403"
          },
          "408": {
            "$ref": "#/components/responses/problem408"
          },
          "415": {
            "$ref": "#/components/responses/problem415"
          },
          "429": {
            "$ref": "#/components/responses/problem429"
          },
          "500": {
            "$ref": "#/components/responses/problem500"
          },
          "501": {
            "$ref": "#/components/responses/problem501"
          },
          "503": {
            "$ref": "#/components/responses/problem503"
          }
        }
      }
    },
    "/messageloop.server.v1.APIService/Settings": {
      "post": {
        "operationId": "Settings",
        "tags": [
          "APIService"
        ],
        "summary": "Lists the settings that are in force, and the origin of each",
        "description": "Lists the settings that are in force, and the origin of each. Secrets are left out. Needs the right manage in all channels.",
        "requestBody": {
          "required": true,
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/messageloop.server.v1.SettingsRequest"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "The answer.",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/messageloop.server.v1.SettingsResponse"
                }
              }
            }
          },
          "400": {
            "$ref": "#/components/responses/problem400"
          },
          "401": {
            "$ref": "#/components/responses/problem401"
          },
          "403": {
            "$ref": "#/components/responses/problem403"
          },
          "408": {
            "$ref": "#/components/responses/problem408"
          },
          "415": {
            "$ref": "#/components/responses/problem415"
          },
          "429": {
            "$ref": "#/components/responses/problem429"
          },
          "500": {
            "$ref": "#/components/responses/problem500"
          },
          "501": {
            "$ref": "#/components/responses/problem501"
          },
          "503": {
            "$ref": "#/components/responses/problem503"
          }
        }
      }
    },
    "/messageloop.server.v1.APIService/Explain": {
      "post": {
        "operationId": "Explain",
        "tags": [
          "APIService"
        ],
        "summary": "Says whether a user may do something in a channel, and which rules of access say so",
        "description": "Says whether a user may do something in a channel, and which rules of access say so. Neither a token nor a backend is asked. Needs the right read in all channels.",
        "requestBody": {
          "required": true,
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/messageloop.server.v1.ExplainRequest"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "The answer.",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/messageloop.server.v1.ExplainResponse"
                }
              }
            }
          },
          "400": {
            "$ref": "#/components/responses/problem400"
          },
          "401": {
            "$ref": "#/components/responses/problem401"
          },
          "403": {
            "$ref": "#/components/responses/problem403"
          },
          "408": {
            "$ref": "#/components/responses/problem408"
          },
          "415": {
            "$ref": "#/components/responses/problem415"
          },
          "429": {
            "$ref": "#/components/responses/problem429"
          },
          "500": {
            "$ref": "#/components/responses/problem500"
          },
          "501": {
            "$ref": "#/components/responses/problem501"
          },
          "503": {
            "$ref": "#/components/responses/problem503"
          }
        }
      }
    },
    "/messageloop.server.v1.APIService/Trace": {
      "post": {
        "operationId": "Trace",
        "tags": [
          "APIService"
        ],
        "summary": "Reads the frames of a user's sessions, or those about a channel, as they come",
        "description": "Reads the frames of a user's sessions, or those about a channel, as they come. A first call begins a trace, and each further one goes on with it; a trace that nobody reads ends. Needs the right trace, and for payloads the right trace-payloads as well: in the channel, or for a user in all channels.",
        "requestBody": {
          "required": true,
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/messageloop.server.v1.TraceRequest"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "The answer.",
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/messageloop.server.v1.TraceResponse"
                }
              }
            }
          },
          "400": {
            "$ref": "#/components/responses/problem400"
          },
          "401": {
            "$ref": "#/components/responses/problem401"
          },
          "403": {
            "$ref": "#/components/responses/problem403"
          },
          "408": {
            "$ref": "#/components/responses/problem408"
          },
          "415": {
            "$ref": "#/components/responses/problem415"
          },
          "429": {
            "$ref": "#/components/responses/problem429"
          },
          "500": {
            "$ref": "#/components/responses/problem500"
          },
          "501": {
            "$ref": "#/components/responses/problem501"
          },
          "503": {
            "$ref": "#/components/responses/problem503"
          }
        }
      }
    }
  },
  "components": {
    "securitySchemes": {
      "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of the server API, `ml_ID_SECRET`."
      }
    },
    "responses": {
      "problem400": {
        "description": "The request, or a value in it, is not valid.",
        "content": {
          "application/json": {
            "schema": {
              "$ref": "#/components/schemas/Problem"
            },
            "example": {
              "code": "invalid_argument",
              "message": "The request, or a value in it, is not valid."
            }
          }
        }
      },
      "problem401": {
        "description": "The key is missing, wrong or expired, or the server has none.",
        "content": {
          "application/json": {
            "schema": {
              "$ref": "#/components/schemas/Problem"
            },
            "example": {
              "code": "unauthenticated",
              "message": "The key is missing, wrong or expired, or the server has none."
            }
          }
        }
      },
      "problem403": {
        "description": "The key is not good for this.",
        "content": {
          "application/json": {
            "schema": {
              "$ref": "#/components/schemas/Problem"
            },
            "example": {
              "code": "permission_denied",
              "message": "The key is not good for this."
            }
          }
        }
      },
      "problem408": {
        "description": "The request was not whole after 30 s.",
        "content": {
          "application/json": {
            "schema": {
              "$ref": "#/components/schemas/Problem"
            },
            "example": {
              "code": "deadline_exceeded",
              "message": "The request was not whole after 30 s."
            }
          }
        }
      },
      "problem415": {
        "description": "The content type is not one that is read here.",
        "content": {
          "application/json": {
            "schema": {
              "$ref": "#/components/schemas/Problem"
            },
            "example": {
              "code": "UNSUPPORTED_TYPE",
              "message": "The content type is not one that is read here."
            }
          }
        }
      },
      "problem429": {
        "description": "Too much at once, or at all: `Retry-After` says when to come back.",
        "content": {
          "application/json": {
            "schema": {
              "$ref": "#/components/schemas/Problem"
            },
            "example": {
              "code": "resource_exhausted",
              "message": "Too much at once, or at all: `Retry-After` says when to come back."
            }
          }
        }
      },
      "problem500": {
        "description": "A fault of the server, which its log tells of.",
        "content": {
          "application/json": {
            "schema": {
              "$ref": "#/components/schemas/Problem"
            },
            "example": {
              "code": "internal",
              "message": "A fault of the server, which its log tells of."
            }
          }
        }
      },
      "problem501": {
        "description": "This deployment does not have what was asked for.",
        "content": {
          "application/json": {
            "schema": {
              "$ref": "#/components/schemas/Problem"
            },
            "example": {
              "code": "unimplemented",
              "message": "This deployment does not have what was asked for."
            }
          }
        }
      },
      "problem503": {
        "description": "The outcome is unknown: ask again.",
        "content": {
          "application/json": {
            "schema": {
              "$ref": "#/components/schemas/Problem"
            },
            "example": {
              "code": "unavailable",
              "message": "The outcome is unknown: ask again."
            }
          }
        }
      }
    },
    "schemas": {
      "Problem": {
        "type": "object",
        "required": [
          "code",
          "message"
        ],
        "properties": {
          "code": {
            "type": "string",
            "description": "Of Connect, such as `invalid_argument`."
          },
          "message": {
            "type": "string",
            "description": "For people."
          },
          "details": {
            "type": "array",
            "description": "The same as messages; the first is a `messageloop.shared.v1.Error`.",
            "items": {
              "type": "object"
            }
          }
        }
      },
      "io.cloudevents.v1.CloudEvent": {
        "type": "object",
        "description": "CloudEvent is one event: four required attributes, any others by name, and its data.",
        "properties": {
          "id": {
            "type": "string"
          },
          "source": {
            "type": "string",
            "description": "A URI reference that names the producer. With id it identifies the event."
          },
          "spec_version": {
            "type": "string",
            "description": "\"1.0\"; empty is read as \"1.0\"."
          },
          "type": {
            "type": "string"
          },
          "attributes": {
            "type": "object",
            "additionalProperties": {
              "$ref": "#/components/schemas/io.cloudevents.v1.CloudEventAttributeValue"
            },
            "description": "Optional attributes (datacontenttype, dataschema, subject, time) and extensions."
          },
          "binary_data": {
            "type": "string",
            "contentEncoding": "base64"
          },
          "text_data": {
            "type": "string"
          },
          "proto_data": {
            "type": "object",
            "required": [
              "@type"
            ],
            "properties": {
              "@type": {
                "type": "string"
              }
            },
            "description": "JSON has no form for a type that the server does not know: send `binary_data`."
          }
        },
        "allOf": [
          {
            "oneOf": [
              {
                "properties": {
                  "binary_data": {}
                },
                "required": [
                  "binary_data"
                ]
              },
              {
                "properties": {
                  "text_data": {}
                },
                "required": [
                  "text_data"
                ]
              },
              {
                "properties": {
                  "proto_data": {}
                },
                "required": [
                  "proto_data"
                ]
              },
              {
                "not": {
                  "anyOf": [
                    {
                      "properties": {
                        "binary_data": {}
                      },
                      "required": [
                        "binary_data"
                      ]
                    },
                    {
                      "properties": {
                        "text_data": {}
                      },
                      "required": [
                        "text_data"
                      ]
                    },
                    {
                      "properties": {
                        "proto_data": {}
                      },
                      "required": [
                        "proto_data"
                      ]
                    }
                  ]
                }
              }
            ]
          }
        ]
      },
      "io.cloudevents.v1.CloudEventAttributeValue": {
        "type": "object",
        "description": "CloudEventAttributeValue is one attribute with its CloudEvents type.",
        "properties": {
          "ce_boolean": {
            "type": "boolean"
          },
          "ce_integer": {
            "type": "integer",
            "format": "int32",
            "minimum": -2147483648,
            "maximum": 2147483647
          },
          "ce_string": {
            "type": "string"
          },
          "ce_bytes": {
            "type": "string",
            "contentEncoding": "base64"
          },
          "ce_uri": {
            "type": "string"
          },
          "ce_uri_ref": {
            "type": "string"
          },
          "ce_timestamp": {
            "type": "string",
            "format": "date-time"
          }
        },
        "allOf": [
          {
            "oneOf": [
              {
                "properties": {
                  "ce_boolean": {}
                },
                "required": [
                  "ce_boolean"
                ]
              },
              {
                "properties": {
                  "ce_integer": {}
                },
                "required": [
                  "ce_integer"
                ]
              },
              {
                "properties": {
                  "ce_string": {}
                },
                "required": [
                  "ce_string"
                ]
              },
              {
                "properties": {
                  "ce_bytes": {}
                },
                "required": [
                  "ce_bytes"
                ]
              },
              {
                "properties": {
                  "ce_uri": {}
                },
                "required": [
                  "ce_uri"
                ]
              },
              {
                "properties": {
                  "ce_uri_ref": {}
                },
                "required": [
                  "ce_uri_ref"
                ]
              },
              {
                "properties": {
                  "ce_timestamp": {}
                },
                "required": [
                  "ce_timestamp"
                ]
              },
              {
                "not": {
                  "anyOf": [
                    {
                      "properties": {
                        "ce_boolean": {}
                      },
                      "required": [
                        "ce_boolean"
                      ]
                    },
                    {
                      "properties": {
                        "ce_integer": {}
                      },
                      "required": [
                        "ce_integer"
                      ]
                    },
                    {
                      "properties": {
                        "ce_string": {}
                      },
                      "required": [
                        "ce_string"
                      ]
                    },
                    {
                      "properties": {
                        "ce_bytes": {}
                      },
                      "required": [
                        "ce_bytes"
                      ]
                    },
                    {
                      "properties": {
                        "ce_uri": {}
                      },
                      "required": [
                        "ce_uri"
                      ]
                    },
                    {
                      "properties": {
                        "ce_uri_ref": {}
                      },
                      "required": [
                        "ce_uri_ref"
                      ]
                    },
                    {
                      "properties": {
                        "ce_timestamp": {}
                      },
                      "required": [
                        "ce_timestamp"
                      ]
                    }
                  ]
                }
              }
            ]
          }
        ]
      },
      "messageloop.server.v1.ChannelInfo": {
        "type": "object",
        "properties": {
          "channel": {
            "type": "string"
          },
          "members": {
            "type": "integer",
            "minimum": 0,
            "maximum": 4294967295,
            "description": "Members, as presence counts them; 0 in a channel without presence."
          },
          "position": {
            "$ref": "#/components/schemas/messageloop.v1.StreamPosition",
            "description": "Head of its log; absent on Workers, where the channel would have to be woken for it. What two answers differ by in one epoch is what was published between them."
          }
        }
      },
      "messageloop.server.v1.ChannelsRequest": {
        "type": "object",
        "properties": {
          "pattern": {
            "type": "string",
            "description": "Channels of this pattern; empty for all that the key may read."
          },
          "cursor": {
            "type": "string",
            "description": "That of the answer before; empty for the first."
          },
          "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": 1000,
            "description": "Channels at most. Absent: 100. At most 1,000."
          }
        }
      },
      "messageloop.server.v1.ChannelsResponse": {
        "type": "object",
        "properties": {
          "channels": {
            "type": "array",
            "items": {
              "$ref": "#/components/schemas/messageloop.server.v1.ChannelInfo"
            },
            "description": "In the order of their names, by bytes of UTF-8. There may be fewer than asked for, or none, before the end."
          },
          "cursor": {
            "type": "string",
            "description": "Asks for what comes next; empty at the end. It means nothing to anybody but the server."
          },
          "as_of": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "How old the answer may be: what has begun since is not in it. Unix milliseconds."
          }
        }
      },
      "messageloop.server.v1.CreateTicketRequest": {
        "type": "object",
        "properties": {
          "user_id": {
            "type": "string",
            "description": "Who the page is for; a member of its channels under this name.",
            "maxLength": 255
          },
          "channels": {
            "type": "array",
            "items": {
              "type": "string",
              "minLength": 1,
              "maxLength": 255,
              "pattern": "^((?!\\*\\*\\.)[^.\\x00-\\x1f\\x7f-\\x9f]+\\.)*[^.\\x00-\\x1f\\x7f-\\x9f]+$"
            },
            "description": "Channels and patterns that it may read.",
            "minItems": 1,
            "maxItems": 32
          },
          "ttl_ms": {
            "type": "integer",
            "minimum": 0,
            "maximum": 4294967295,
            "description": "How long the ticket is good for, in milliseconds; 0 for 10 minutes, which is the most.",
            "anyOf": [
              {
                "const": 0
              },
              {
                "minimum": 1000,
                "maximum": 600000
              }
            ]
          }
        }
      },
      "messageloop.server.v1.CreateTicketResponse": {
        "type": "object",
        "properties": {
          "ticket": {
            "type": "string",
            "description": "For the address of the stream: GET /channels/CHANNEL/events?ticket=TICKET. Whoever has it may read."
          },
          "expires": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "When it has expired, Unix milliseconds."
          }
        }
      },
      "messageloop.server.v1.DestinationResult": {
        "type": "object",
        "properties": {
          "channel": {
            "type": "string"
          },
          "session": {
            "type": "string"
          },
          "user": {
            "type": "string"
          },
          "position": {
            "$ref": "#/components/schemas/messageloop.v1.StreamPosition",
            "description": "Of a channel: where the event stands in its log. Absent for what is transient."
          },
          "duplicate": {
            "type": "boolean",
            "description": "The event was in the log already; position is where."
          },
          "sessions": {
            "type": "integer",
            "minimum": 0,
            "maximum": 4294967295,
            "description": "Of a session and of a user: how many sessions it was handed to."
          },
          "error": {
            "$ref": "#/components/schemas/messageloop.shared.v1.Error",
            "description": "Why this destination did not get it."
          }
        },
        "allOf": [
          {
            "oneOf": [
              {
                "properties": {
                  "channel": {}
                },
                "required": [
                  "channel"
                ]
              },
              {
                "properties": {
                  "session": {}
                },
                "required": [
                  "session"
                ]
              },
              {
                "properties": {
                  "user": {}
                },
                "required": [
                  "user"
                ]
              },
              {
                "not": {
                  "anyOf": [
                    {
                      "properties": {
                        "channel": {}
                      },
                      "required": [
                        "channel"
                      ]
                    },
                    {
                      "properties": {
                        "session": {}
                      },
                      "required": [
                        "session"
                      ]
                    },
                    {
                      "properties": {
                        "user": {}
                      },
                      "required": [
                        "user"
                      ]
                    }
                  ]
                }
              }
            ]
          }
        ]
      },
      "messageloop.server.v1.DisconnectRequest": {
        "type": "object",
        "properties": {
          "sessions": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "maxItems": 1000
          },
          "code": {
            "type": "integer",
            "minimum": 0,
            "maximum": 4294967295,
            "description": "0, which is 3503; 1000; or 3000 to 4999."
          },
          "reason": {
            "type": "string"
          },
          "users": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "description": "Users, each of whose sessions ends.",
            "maxItems": 1000
          }
        }
      },
      "messageloop.server.v1.DisconnectResponse": {
        "type": "object",
        "properties": {
          "results": {
            "type": "object",
            "additionalProperties": {
              "type": "boolean"
            },
            "description": "Whether there was such a session. One whose node did not answer is not here but among the errors."
          },
          "users": {
            "type": "object",
            "additionalProperties": {
              "type": "integer",
              "minimum": 0,
              "maximum": 4294967295
            },
            "description": "How many sessions a user had."
          },
          "session_errors": {
            "type": "object",
            "additionalProperties": {
              "$ref": "#/components/schemas/messageloop.shared.v1.Error"
            },
            "description": "By session, and by user, why it is not known whether it has ended."
          },
          "user_errors": {
            "type": "object",
            "additionalProperties": {
              "$ref": "#/components/schemas/messageloop.shared.v1.Error"
            }
          }
        }
      },
      "messageloop.server.v1.ExplainRequest": {
        "type": "object",
        "properties": {
          "user": {
            "type": "string",
            "description": "Empty for one that has not authenticated."
          },
          "action": {
            "type": "string",
            "description": "`subscribe`, `publish`, `presence`, `history`, `survey` or `rpc`."
          },
          "channel": {
            "type": "string",
            "description": "A channel; to subscribe there may be a pattern."
          },
          "client_id": {
            "type": "string",
            "description": "A client id that authentication vouches for. Left out, it does not."
          },
          "grants": {
            "$ref": "#/components/schemas/messageloop.server.v1.Grants",
            "description": "What a token grants, if it says anything of that."
          }
        }
      },
      "messageloop.server.v1.ExplainResponse": {
        "type": "object",
        "properties": {
          "allowed": {
            "type": "boolean"
          },
          "reasons": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "description": "What decided, then rules that were left out and might have decided otherwise."
          }
        }
      },
      "messageloop.server.v1.Grant": {
        "type": "object",
        "properties": {
          "pattern": {
            "type": "string"
          },
          "actions": {
            "type": "array",
            "items": {
              "type": "string"
            }
          }
        }
      },
      "messageloop.server.v1.Grants": {
        "type": "object",
        "properties": {
          "grants": {
            "type": "array",
            "items": {
              "$ref": "#/components/schemas/messageloop.server.v1.Grant"
            }
          }
        }
      },
      "messageloop.server.v1.HistoryRequest": {
        "type": "object",
        "properties": {
          "channel": {
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "pattern": "^(?!\\*{1,2}(\\.|$))[^.\\x00-\\x1f\\x7f-\\x9f]+(\\.(?!\\*{1,2}(\\.|$))[^.\\x00-\\x1f\\x7f-\\x9f]+)*$"
          },
          "since": {
            "$ref": "#/components/schemas/messageloop.v1.StreamPosition",
            "description": "Messages after this position, or before it with `reverse`. Without it from the oldest, or from the newest with `reverse`."
          },
          "limit": {
            "type": "integer",
            "minimum": 0,
            "maximum": 4294967295,
            "description": "Messages at most. Absent: as many as a page holds, 512 messages and 1 MiB. 0 asks for the position only."
          },
          "reverse": {
            "type": "boolean",
            "description": "Newest first."
          }
        }
      },
      "messageloop.server.v1.HistoryResponse": {
        "type": "object",
        "properties": {
          "messages": {
            "type": "array",
            "items": {
              "$ref": "#/components/schemas/messageloop.v1.Message"
            },
            "description": "In the order that was asked for."
          },
          "position": {
            "$ref": "#/components/schemas/messageloop.v1.StreamPosition",
            "description": "Head of the log."
          },
          "gap": {
            "$ref": "#/components/schemas/messageloop.v1.Gap",
            "description": "What lies between `since` and the first message and is not there any more."
          },
          "more": {
            "type": "boolean",
            "description": "There are more messages in this direction: ask again from the last one."
          }
        }
      },
      "messageloop.server.v1.Incident": {
        "type": "object",
        "description": "A gap, or a slow consumer, that sessions of a node have met in a channel. What happens in one channel within ten seconds of the first is one.",
        "properties": {
          "kind": {
            "type": "string",
            "description": "`gap`: a live subscription missed messages that the log could not fill in. `slow_consumer`: a client did not read and was closed with 3510; it stands with each of eight channels at most that the session had."
          },
          "channel": {
            "type": "string"
          },
          "reason": {
            "type": "string",
            "description": "Of a gap, such as `head_trimmed`."
          },
          "began": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "The first and the last of them, Unix milliseconds."
          },
          "at": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$"
          },
          "count": {
            "type": "integer",
            "minimum": 0,
            "maximum": 4294967295,
            "description": "How many sessions it was."
          },
          "session_id": {
            "type": "string",
            "description": "The last of them."
          },
          "node": {
            "type": "string"
          }
        }
      },
      "messageloop.server.v1.NodeStatus": {
        "type": "object",
        "description": "What a node holds now, and what it has counted since it started. Two answers of one start differ by what was done between them.",
        "properties": {
          "name": {
            "type": "string",
            "description": "What the ids of its sessions begin with. Another start has another name."
          },
          "uptime_ms": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "Milliseconds since it started."
          },
          "connections": {
            "type": "integer",
            "minimum": 0,
            "maximum": 4294967295,
            "description": "Connections of clients now."
          },
          "sessions": {
            "type": "integer",
            "minimum": 0,
            "maximum": 4294967295,
            "description": "Sessions, subscriptions, channels and patterns that have a subscriber here now."
          },
          "subscriptions": {
            "type": "integer",
            "minimum": 0,
            "maximum": 4294967295
          },
          "channels": {
            "type": "integer",
            "minimum": 0,
            "maximum": 4294967295
          },
          "patterns": {
            "type": "integer",
            "minimum": 0,
            "maximum": 4294967295
          },
          "memory_bytes": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "Memory that the process has of the machine, in bytes."
          },
          "lag_us": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "How late the event loop came to its timers since the start, all together, in microseconds, and how many there were."
          },
          "lag_samples": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$"
          },
          "publications": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "Publishes that were acknowledged."
          },
          "deliveries": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "Messages written to sessions."
          },
          "received_bytes": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "Bytes of frames from and to clients."
          },
          "sent_bytes": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$"
          },
          "gaps": {
            "type": "object",
            "additionalProperties": {
              "type": "string",
              "format": "uint64",
              "pattern": "^[0-9]{1,19}$"
            },
            "description": "Holes that live subscriptions met and that the log could not fill, by reason."
          },
          "slow_consumers": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "Sessions that were closed because their clients did not read, with 3510."
          },
          "internal_errors": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "Exceptions that were not foreseen."
          },
          "busy": {
            "description": "The part of the time since it was looked at last in which it was busy, 0 to 1. Not known of gateways."
          },
          "thread": {
            "type": "integer",
            "minimum": 0,
            "maximum": 4294967295,
            "description": "Its place among the threads of its process, from 0. Left out of a server that has one."
          },
          "own_channels": {
            "type": "integer",
            "minimum": 0,
            "maximum": 4294967295,
            "description": "Channels whose log a thread has."
          },
          "deaths": {
            "type": "integer",
            "minimum": 0,
            "maximum": 4294967295,
            "description": "How often a thread in its place has ended and was replaced."
          },
          "region": {
            "type": "string",
            "description": "Region of a gateway."
          },
          "reported": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "When a gateway has reported this, Unix milliseconds by its own clock: it reports what has changed within ten seconds, so this holds for as long as it sleeps."
          }
        }
      },
      "messageloop.server.v1.NodesRequest": {
        "type": "object",
        "properties": {}
      },
      "messageloop.server.v1.NodesResponse": {
        "type": "object",
        "properties": {
          "nodes": {
            "type": "array",
            "items": {
              "$ref": "#/components/schemas/messageloop.server.v1.NodeStatus"
            },
            "description": "Of the self-hosted server the process that answers: one, or one for each of its threads that has answered. Of Workers gateways, by what they have reported: of each region those with the most sessions, 100 at most."
          },
          "regions": {
            "type": "array",
            "items": {
              "$ref": "#/components/schemas/messageloop.server.v1.RegionStatus"
            },
            "description": "Regions of Workers."
          },
          "incidents": {
            "type": "array",
            "items": {
              "$ref": "#/components/schemas/messageloop.server.v1.Incident"
            },
            "description": "What the nodes have met, the newest first."
          },
          "unreported": {
            "type": "boolean",
            "description": "Whether nothing is known of nodes because gateways do not report: the setting api.metrics is off."
          },
          "as_of": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "Unix milliseconds."
          }
        }
      },
      "messageloop.server.v1.PresenceRequest": {
        "type": "object",
        "properties": {
          "channel": {
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "pattern": "^(?!\\*{1,2}(\\.|$))[^.\\x00-\\x1f\\x7f-\\x9f]+(\\.(?!\\*{1,2}(\\.|$))[^.\\x00-\\x1f\\x7f-\\x9f]+)*$"
          },
          "limit": {
            "type": "integer",
            "minimum": 0,
            "maximum": 4294967295,
            "description": "Members at most. Absent: 1,000, which is the most. 0 asks for their number only."
          }
        }
      },
      "messageloop.server.v1.PresenceResponse": {
        "type": "object",
        "properties": {
          "members": {
            "type": "array",
            "items": {
              "$ref": "#/components/schemas/messageloop.v1.Member"
            },
            "description": "Joined first, first."
          },
          "total": {
            "type": "integer",
            "minimum": 0,
            "maximum": 4294967295,
            "description": "How many there are."
          },
          "generation": {
            "$ref": "#/components/schemas/messageloop.v1.PresenceGeneration",
            "description": "Presence events at or below it are part of this answer."
          }
        }
      },
      "messageloop.server.v1.Publication": {
        "type": "object",
        "properties": {
          "id": {
            "type": "string",
            "description": "Names the publication in the result, and is the id of the message that sessions receive."
          },
          "destination": {
            "$ref": "#/components/schemas/messageloop.server.v1.Publication.Destination"
          },
          "options": {
            "$ref": "#/components/schemas/messageloop.server.v1.Publication.Options"
          },
          "payload": {
            "$ref": "#/components/schemas/io.cloudevents.v1.CloudEvent"
          }
        }
      },
      "messageloop.server.v1.Publication.Destination": {
        "type": "object",
        "properties": {
          "sessions": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "description": "Sessions that receive it, connected to whichever node.",
            "maxItems": 1000
          },
          "channels": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "maxItems": 1000
          },
          "users": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "description": "Users, each of whose sessions receives it.",
            "maxItems": 1000
          }
        }
      },
      "messageloop.server.v1.Publication.Options": {
        "type": "object",
        "properties": {
          "add_history": {
            "type": "boolean",
            "description": "False: what the channel's rule says. True: it has to be kept, and fails in a channel that keeps nothing."
          },
          "transient": {
            "type": "boolean",
            "description": "Delivers to who is subscribed now, outside of the log: it takes no offset, and nobody recovers it."
          },
          "dedup": {
            "type": "boolean",
            "description": "An event with a source and an id that this key has published to the channel before is not published again. Both have to be there."
          }
        }
      },
      "messageloop.server.v1.PublicationResult": {
        "type": "object",
        "properties": {
          "id": {
            "type": "string",
            "description": "That of the publication."
          },
          "destinations": {
            "type": "array",
            "items": {
              "$ref": "#/components/schemas/messageloop.server.v1.DestinationResult"
            },
            "description": "One for each destination: channels, then sessions, then users, each in the order of the request."
          },
          "error": {
            "$ref": "#/components/schemas/messageloop.shared.v1.Error",
            "description": "Why nothing of it was done."
          }
        }
      },
      "messageloop.server.v1.PublishRequest": {
        "type": "object",
        "properties": {
          "request_id": {
            "type": "string"
          },
          "metadata": {
            "type": "object",
            "additionalProperties": {
              "type": "string"
            },
            "description": "Kept beside the events; extended clients receive it."
          },
          "publications": {
            "type": "array",
            "items": {
              "$ref": "#/components/schemas/messageloop.server.v1.Publication"
            },
            "maxItems": 1000
          }
        }
      },
      "messageloop.server.v1.PublishResponse": {
        "type": "object",
        "properties": {
          "results": {
            "type": "array",
            "items": {
              "$ref": "#/components/schemas/messageloop.server.v1.PublicationResult"
            },
            "description": "One for each publication, in their order."
          }
        }
      },
      "messageloop.server.v1.RegionStatus": {
        "type": "object",
        "description": "What is known of the gateways of a region.",
        "properties": {
          "region": {
            "type": "string"
          },
          "ready": {
            "type": "boolean",
            "description": "Whether the counters of the region answer."
          },
          "as_of": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "What was so no later than then is part of it, Unix milliseconds."
          },
          "gateways": {
            "type": "integer",
            "minimum": 0,
            "maximum": 4294967295,
            "description": "Gateways that hold anything, asleep or awake."
          },
          "sessions": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$"
          }
        }
      },
      "messageloop.server.v1.RemoveHistoryRequest": {
        "type": "object",
        "properties": {
          "channel": {
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "pattern": "^(?!\\*{1,2}(\\.|$))[^.\\x00-\\x1f\\x7f-\\x9f]+(\\.(?!\\*{1,2}(\\.|$))[^.\\x00-\\x1f\\x7f-\\x9f]+)*$"
          }
        }
      },
      "messageloop.server.v1.RemoveHistoryResponse": {
        "type": "object",
        "properties": {}
      },
      "messageloop.server.v1.RevokeRequest": {
        "type": "object",
        "properties": {
          "users": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "description": "Users, all of whose tokens are revoked that were issued up to now. A token that does not say when it was issued is one of them.",
            "maxItems": 1000
          },
          "tokens": {
            "type": "array",
            "items": {
              "$ref": "#/components/schemas/messageloop.server.v1.RevokedToken"
            },
            "description": "Single tokens.",
            "maxItems": 1000
          },
          "until": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "When all of them have expired by themselves, Unix milliseconds, at most 90 days ahead: until then it is remembered. 0 for 90 days."
          }
        }
      },
      "messageloop.server.v1.RevokeResponse": {
        "type": "object",
        "properties": {
          "user_errors": {
            "type": "object",
            "additionalProperties": {
              "$ref": "#/components/schemas/messageloop.shared.v1.Error"
            },
            "description": "By user, and by id of a token, why it is not known whether it is revoked. What is not named here is."
          },
          "token_errors": {
            "type": "object",
            "additionalProperties": {
              "$ref": "#/components/schemas/messageloop.shared.v1.Error"
            }
          },
          "durable": {
            "type": "boolean",
            "description": "Whether it is remembered when every process of the deployment has been killed. Servers without Redis forget it."
          }
        }
      },
      "messageloop.server.v1.RevokedToken": {
        "type": "object",
        "properties": {
          "user": {
            "type": "string",
            "description": "Whose token it is.",
            "minLength": 1,
            "maxLength": 255
          },
          "id": {
            "type": "string",
            "description": "Its id, which a JWT has as `jti`.",
            "minLength": 1,
            "maxLength": 255
          }
        }
      },
      "messageloop.server.v1.SessionInfo": {
        "type": "object",
        "properties": {
          "session_id": {
            "type": "string"
          },
          "since": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "When it connected, Unix milliseconds."
          }
        }
      },
      "messageloop.server.v1.SessionsRequest": {
        "type": "object",
        "properties": {
          "user": {
            "type": "string"
          }
        }
      },
      "messageloop.server.v1.SessionsResponse": {
        "type": "object",
        "properties": {
          "sessions": {
            "type": "array",
            "items": {
              "$ref": "#/components/schemas/messageloop.server.v1.SessionInfo"
            },
            "description": "Connected first, first. Some of them may have ended just now."
          }
        }
      },
      "messageloop.server.v1.Setting": {
        "type": "object",
        "properties": {
          "path": {
            "type": "string",
            "description": "Such as `limits.channels`, or `channels.0.pattern` in the first table of a list."
          },
          "value": {
            "type": "string",
            "description": "As an operator writes it, a list as JSON; empty for a secret. One of more than 4,096 characters is cut."
          },
          "source": {
            "type": "string",
            "description": "`default`, `file`, `environment`, `flag`, or `program` where a program has set it that embeds the server."
          },
          "origin": {
            "type": "string",
            "description": "The file, the variable or the flag."
          },
          "secret": {
            "type": "boolean",
            "description": "It is a secret, or what names one."
          }
        }
      },
      "messageloop.server.v1.SettingsRequest": {
        "type": "object",
        "properties": {}
      },
      "messageloop.server.v1.SettingsResponse": {
        "type": "object",
        "properties": {
          "settings": {
            "type": "array",
            "items": {
              "$ref": "#/components/schemas/messageloop.server.v1.Setting"
            }
          }
        }
      },
      "messageloop.server.v1.StatusRequest": {
        "type": "object",
        "properties": {}
      },
      "messageloop.server.v1.StatusResponse": {
        "type": "object",
        "properties": {
          "key": {
            "$ref": "#/components/schemas/messageloop.server.v1.StatusResponse.Key"
          },
          "host": {
            "type": "string",
            "description": "`server` or `worker`."
          },
          "version": {
            "type": "string",
            "description": "Of the software."
          },
          "nodes": {
            "type": "array",
            "items": {
              "$ref": "#/components/schemas/messageloop.server.v1.NodeStatus"
            },
            "description": "The node that has answered. None on Workers, whose gateways are not woken to be counted, and for a key that may not read all channels."
          },
          "as_of": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "When all of this was so, Unix milliseconds."
          }
        }
      },
      "messageloop.server.v1.StatusResponse.Key": {
        "type": "object",
        "description": "The key that the call came with.",
        "properties": {
          "id": {
            "type": "string"
          },
          "rights": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "description": "`publish`, `read` and `manage`, those of them that it has."
          },
          "patterns": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "description": "Channels that it is good for, by patterns and names."
          },
          "expires": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "From when on it is good for nothing, Unix milliseconds; 0 for never."
          }
        }
      },
      "messageloop.server.v1.SubscribeRequest": {
        "type": "object",
        "properties": {
          "session_id": {
            "type": "string"
          },
          "channels": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "maxItems": 1000
          }
        }
      },
      "messageloop.server.v1.SubscribeResponse": {
        "type": "object",
        "properties": {
          "results": {
            "type": "object",
            "additionalProperties": {
              "type": "boolean"
            },
            "description": "Whether the session has the channel now."
          },
          "errors": {
            "type": "object",
            "additionalProperties": {
              "$ref": "#/components/schemas/messageloop.shared.v1.Error"
            },
            "description": "By channel, why it was refused."
          }
        }
      },
      "messageloop.server.v1.SurveyRequest": {
        "type": "object",
        "properties": {
          "request_id": {
            "type": "string"
          },
          "channel": {
            "type": "string"
          },
          "payload": {
            "$ref": "#/components/schemas/io.cloudevents.v1.CloudEvent"
          },
          "timeout_ms": {
            "type": "integer",
            "format": "int32",
            "minimum": 0,
            "maximum": 2147483647,
            "description": "How long to wait for answers; 0 for 5 s, at most 60 s."
          }
        }
      },
      "messageloop.server.v1.SurveyResponse": {
        "type": "object",
        "properties": {
          "request_id": {
            "type": "string",
            "description": "That of the request."
          },
          "results": {
            "type": "array",
            "items": {
              "$ref": "#/components/schemas/messageloop.server.v1.SurveyResult"
            },
            "description": "In the order of their arrival."
          },
          "silent": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "description": "Sessions that were asked and have not answered."
          },
          "unreached": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "description": "Nodes that did not say what their sessions answered."
          },
          "unreached_reasons": {
            "type": "object",
            "additionalProperties": {
              "type": "string"
            },
            "description": "By the node's name, why: `timeout`, `unavailable`, `busy` (too many open surveys) or `failed`."
          }
        }
      },
      "messageloop.server.v1.SurveyResult": {
        "type": "object",
        "properties": {
          "session_id": {
            "type": "string"
          },
          "payload": {
            "$ref": "#/components/schemas/io.cloudevents.v1.CloudEvent"
          },
          "error": {
            "$ref": "#/components/schemas/messageloop.shared.v1.Error"
          },
          "user_id": {
            "type": "string",
            "description": "Who has answered. Only user_id is authenticated."
          },
          "client_id": {
            "type": "string"
          }
        }
      },
      "messageloop.server.v1.TraceRequest": {
        "type": "object",
        "properties": {
          "trace_id": {
            "type": "string",
            "description": "That of the answer to the first call. Empty begins a trace."
          },
          "user": {
            "type": "string",
            "description": "Whose frames: either a user or a channel, the same in all calls of a trace."
          },
          "channel": {
            "type": "string"
          },
          "payloads": {
            "type": "boolean",
            "description": "Whether frames that carry events come with them."
          },
          "duration_ms": {
            "type": "integer",
            "minimum": 0,
            "maximum": 600000,
            "description": "How long a trace lasts that begins: 0 for 60 s, at most 10 minutes."
          }
        }
      },
      "messageloop.server.v1.TraceResponse": {
        "type": "object",
        "properties": {
          "trace_id": {
            "type": "string"
          },
          "frames": {
            "type": "array",
            "items": {
              "$ref": "#/components/schemas/messageloop.server.v1.TracedFrame"
            },
            "description": "What has come since the last call, of each node in order."
          },
          "left_out": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "How many were left out, because nobody read fast enough."
          },
          "ended": {
            "type": "boolean",
            "description": "The trace is over."
          },
          "unreached": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "description": "Nodes that did not answer."
          }
        }
      },
      "messageloop.server.v1.TracedFrame": {
        "type": "object",
        "description": "TracedFrame is one frame of the client protocol, or the end of a session.",
        "properties": {
          "time": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "Server clock, Unix milliseconds."
          },
          "session_id": {
            "type": "string"
          },
          "user_id": {
            "type": "string"
          },
          "client_id": {
            "type": "string"
          },
          "inbound": {
            "type": "boolean",
            "description": "Whether the client has sent it."
          },
          "kind": {
            "type": "string",
            "description": "The envelope's name, such as publish; `end` for the end of a session, and empty where it could not be read."
          },
          "id": {
            "type": "string",
            "description": "That of the frame: an answer has its request's."
          },
          "channel": {
            "type": "string",
            "description": "The channel that it names; the first of several."
          },
          "bytes": {
            "type": "integer",
            "minimum": 0,
            "maximum": 4294967295,
            "description": "Its size on the wire."
          },
          "outcome": {
            "type": "string",
            "description": "Of an error its code, of an end the close code; `taken` or `sent` otherwise."
          },
          "payload": {
            "type": "string",
            "description": "The frame in JSON, at most 4,096 characters, where payloads were asked for and it carries an event."
          }
        }
      },
      "messageloop.server.v1.UnsubscribeRequest": {
        "type": "object",
        "properties": {
          "session_id": {
            "type": "string"
          },
          "channels": {
            "type": "array",
            "items": {
              "type": "string"
            },
            "maxItems": 1000
          }
        }
      },
      "messageloop.server.v1.UnsubscribeResponse": {
        "type": "object",
        "properties": {
          "results": {
            "type": "object",
            "additionalProperties": {
              "type": "boolean"
            },
            "description": "Whether there is such a session, subscribed or not."
          },
          "errors": {
            "type": "object",
            "additionalProperties": {
              "$ref": "#/components/schemas/messageloop.shared.v1.Error"
            },
            "description": "By channel, why it was refused."
          }
        }
      },
      "messageloop.shared.v1.Error": {
        "type": "object",
        "description": "Error tells a peer why a request failed. SPEC.md lists the codes.",
        "properties": {
          "code": {
            "type": "string",
            "description": "Closed set, UPPER_SNAKE."
          },
          "type": {
            "type": "string",
            "description": "Family of the code, such as client_error or server_error."
          },
          "message": {
            "type": "string",
            "description": "One sentence for people; never parsed."
          },
          "metadata": {
            "type": "object",
            "description": "Free form. retry_after_ms is a number here."
          }
        }
      },
      "messageloop.v1.Gap": {
        "type": "object",
        "description": "Gap names messages that a subscriber does not get. In `recovered` it is about what the client missed; alone it is a hole met while live, and comes before the message behind the hole.",
        "properties": {
          "channel": {
            "type": "string"
          },
          "reason": {
            "type": "string",
            "description": "head_trimmed: the log holds no more; expired: they were too old; epoch_changed: the log has begun anew; limit: too many for one replay, `history_request` has them; unavailable: not known."
          },
          "after": {
            "$ref": "#/components/schemas/messageloop.v1.StreamPosition",
            "description": "The missing messages lie after this position. Absent where it is not known."
          },
          "until": {
            "$ref": "#/components/schemas/messageloop.v1.StreamPosition",
            "description": "The last that is missing. In the same epoch as `after` the offsets between them are the hole."
          }
        }
      },
      "messageloop.v1.Member": {
        "type": "object",
        "description": "Member is one user on one client, with any number of sessions.",
        "properties": {
          "user_id": {
            "type": "string"
          },
          "client_id": {
            "type": "string"
          },
          "session_id": {
            "type": "string",
            "description": "Only where both other names are empty: then every session is a member."
          },
          "time": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "When it joined, Unix milliseconds."
          }
        }
      },
      "messageloop.v1.Message": {
        "type": "object",
        "description": "Message is one delivered event.",
        "properties": {
          "id": {
            "type": "string",
            "description": "\"epoch-offset\", the same live and replayed."
          },
          "channel": {
            "type": "string"
          },
          "offset": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$"
          },
          "payload": {
            "$ref": "#/components/schemas/io.cloudevents.v1.CloudEvent"
          },
          "epoch": {
            "type": "string"
          },
          "time": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "When the log took the event: server clock, Unix milliseconds."
          },
          "replay": {
            "type": "boolean",
            "description": "Out of the log, not live."
          },
          "publisher": {
            "$ref": "#/components/schemas/messageloop.v1.Publisher"
          },
          "metadata": {
            "type": "object",
            "additionalProperties": {
              "type": "string"
            },
            "description": "Metadata of the publish frame."
          }
        }
      },
      "messageloop.v1.PresenceGeneration": {
        "type": "object",
        "description": "PresenceGeneration orders the changes of a channel's members. Of one epoch the higher is the later; another epoch begins anew.",
        "properties": {
          "epoch": {
            "type": "string"
          },
          "number": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$"
          }
        }
      },
      "messageloop.v1.Publisher": {
        "type": "object",
        "description": "Publisher is who published a message. Only user_id is authenticated.",
        "properties": {
          "client_id": {
            "type": "string"
          },
          "user_id": {
            "type": "string"
          },
          "session_id": {
            "type": "string"
          }
        }
      },
      "messageloop.v1.StreamPosition": {
        "type": "object",
        "description": "StreamPosition is a place in a channel's log. It means nothing without an epoch.",
        "properties": {
          "epoch": {
            "type": "string",
            "description": "One life of the log."
          },
          "offset": {
            "type": "string",
            "format": "uint64",
            "pattern": "^[0-9]{1,19}$",
            "description": "Dense per channel from 1; 0 is the place before the first message."
          }
        }
      }
    }
  }
};
